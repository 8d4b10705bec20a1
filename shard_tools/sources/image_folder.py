"""Image folders as Hugging Face has them: ``metadata.csv`` or ``.jsonl`` beside the photos."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pyarrow as pa

from shard_tools.columns import pc
from shard_tools.errors import StoreError
from shard_tools.sources.layout import FOLDER, Layout, SourceOptions
from shard_tools.sources.path_table import read_columns, records_of
from shard_tools.sources.records import Records
from shard_tools.sources.split_names import UNKNOWN, split_of

NAME = "imagefolder"
_FILES = ("metadata.csv", "metadata.jsonl", "metadata.parquet")


def detect(source: Path) -> bool:
    """Whether a metadata file that names photos and labels is there, or in each split's folder."""
    files = _metadata(source)
    try:
        for file in files:
            read_columns(file, SourceOptions())
    except StoreError:
        return False
    return bool(files)


def read(source: Path, options: SourceOptions) -> Records:
    """List the photos that the metadata files name, relative to their folders.

    Raises:
        StoreError: no such file, or one without columns of file names and labels.
    """
    options.forbid(source, "an image folder, whose metadata files hold the labels", "labels")
    options.forbid(source, "an image folder, whose metadata files hold the labels", "classes")
    files = _metadata(source)
    if not files:
        raise StoreError(f"--source {source}: no {' or '.join(_FILES)} there")
    parts = []
    for file in files:
        table = read_columns(file, options)
        if file.parent != source:
            prefix = pa.scalar(f"{file.parent.name}/")
            joined = pc.binary_join_element_wise(prefix, table["path"], "")
            table = table.set_column(0, "path", joined)
        if split_of(file.parent.name) != UNKNOWN and "split" not in table.column_names:
            names = pa.array([file.parent.name] * len(table), pa.string())
            table = table.append_column("split", names)
        parts.append(table)
    table = pa.concat_tables(parts, promote_options="default")
    records = records_of(NAME, files[0], table, source, options)
    return replace(records, label_file=files[0].name)


def _metadata(source: Path) -> list[Path]:
    """The metadata files of a folder, or else those of the folders in it."""
    own = [source / name for name in _FILES if (source / name).is_file()]
    if own:
        return own[:1]
    folders = sorted(entry for entry in source.iterdir() if entry.is_dir())
    found = [[f / name for name in _FILES if (f / name).is_file()][:1] for f in folders]
    return [file for files in found for file in files]


LAYOUT = Layout(
    NAME, "a folder with metadata.csv or .jsonl (file_name, label)", (FOLDER,), detect, read
)
