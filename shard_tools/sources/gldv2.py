"""Google Landmarks v2 as distributed: tars of photos and a label file."""

from __future__ import annotations

from pathlib import Path

import pyarrow as pa

from shard_tools.errors import StoreError
from shard_tools.sources.join import join_labels
from shard_tools.sources.kaggle import _IN_PHOTO_FOLDER
from shard_tools.sources.labels import CLEAN, TRAIN, NameFile, read_labels
from shard_tools.sources.readers import SpanReader
from shard_tools.sources.records import Listing, Records, is_photo, rejects
from shard_tools.sources.tars import scan_tars

#: Where label files stand beside tars: as fetched, or as in the bucket of GLDv2.
_BESIDE_TARS = ("", "metadata")


def gldv2_tars(source: Path, labels: Path | None) -> Records:
    """GLDv2 as distributed: ``images_000.tar`` ... and a label file.

    Usually only some of the tars are there, and with ``train_clean.csv`` only some of their photos
    are asked for. So what has no counterpart is counted, not listed as rejected.
    """
    tars = find_tars(source)
    beside = [source / folder for folder in _BESIDE_TARS]
    file = labels or next(
        (path / name for name in (CLEAN, TRAIN) for path in beside if (path / name).is_file()), None
    )
    if file is None:
        raise StoreError(
            f"--source {source}: tars, but neither {CLEAN} nor {TRAIN} beside them; "
            "get it with glr-shard fetch, or give --labels FILE"
        )
    table = read_labels(file)
    files, problems = scan_tars(tars)
    broken = [(tar.name, problem) for tar, problem in zip(tars, problems, strict=True) if problem]
    damaged = rejects(
        "damaged tar",
        path=pa.array([tar for tar, _ in broken], pa.string()),
        detail=pa.array([problem for _, problem in broken], pa.string()),
    )
    reader = SpanReader([str(tar) for tar in tars])
    listing = Listing(files.filter(is_photo(files["path"])), reader, (damaged,))
    names = next((n for n in map(NameFile.in_folder, beside) if n), None)
    return join_labels("gldv2", listing, table, file.name, names, partial=True)


def find_tars(source: Path) -> list[Path]:
    """The tars of a GLDv2 folder, in the order of their names."""
    inside = source / _IN_PHOTO_FOLDER
    if inside.is_dir():  # photos in folders there, as in the Kaggle layout, come before stray tars
        return sorted(inside.glob("*.tar"))
    return sorted(source.glob("*.tar"))
