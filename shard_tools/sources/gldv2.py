"""Google Landmarks v2 as distributed: ``images_000.tar`` ... and a label file."""

from __future__ import annotations

from pathlib import Path

import pyarrow as pa

from shard_tools.errors import StoreError
from shard_tools.sources.join import join_labels
from shard_tools.sources.labels import CLEAN, TRAIN, NameFile, find_label_file, read_labels
from shard_tools.sources.layout import FOLDER, Layout, SourceOptions
from shard_tools.sources.readers import SpanReader
from shard_tools.sources.records import Listing, Records, is_photo, rejects
from shard_tools.sources.tars import find_tars, scan_tars

NAME = "gldv2"


def detect(source: Path) -> bool:
    """Whether there are tars with a label file beside them, or tars named as those of GLDv2."""
    tars = find_tars(source)
    labelled = any((source / name).exists() for name in (TRAIN, CLEAN))
    return bool(tars) and (labelled or tars[0].name.startswith("images_"))


def read(source: Path, options: SourceOptions) -> Records:
    """List the members of the tars that are there, and their labels.

    Usually only some of the tars are there, and with ``train_clean.csv`` only some of their photos
    are asked for. So photos and labels without a counterpart are counted, not listed as rejected.

    Raises:
        StoreError: no label file.
    """
    options.forbid(source, "labelled by a table", "classes")
    file = options.labels or find_label_file(source)
    if file is None:
        raise StoreError(
            f"--source {source}: tars, but neither {CLEAN} nor {TRAIN} beside them; "
            "get it with glr-shard fetch, or give --labels FILE"
        )
    tars = find_tars(source)
    table = read_labels(file, options=options)
    files, problems = scan_tars(tars)
    broken = [(tar.name, problem) for tar, problem in zip(tars, problems, strict=True) if problem]
    damaged = rejects(
        "damaged tar",
        path=pa.array([tar for tar, _ in broken], pa.string()),
        detail=pa.array([problem for _, problem in broken], pa.string()),
    )
    reader = SpanReader([str(tar) for tar in tars])
    listing = Listing(files.filter(is_photo(files["path"])), reader, (damaged,))
    beside = (source, source / "metadata")
    names = next((n for n in map(NameFile.in_folder, beside) if n), None)
    return join_labels(NAME, listing, table, file.name, names, options, partial=True)


LAYOUT = Layout(
    NAME, "images_000.tar ... of Google Landmarks v2 and their label file", (FOLDER,), detect, read
)
