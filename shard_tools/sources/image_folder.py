"""Tables beside the photos that a folder is read by: those of Hugging Face, or one per split.

Hugging Face has ``metadata.csv`` (or ``.jsonl``, ``.parquet``) in the folder or in that of each
split; others have ``train.csv``, ``val.csv`` and ``test.csv``.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import pyarrow as pa

from shard_tools.columns import pc
from shard_tools.errors import StoreError
from shard_tools.sources.layout import FOLDER, Layout, SourceOptions
from shard_tools.sources.path_table import beside, records_of
from shard_tools.sources.records import Records
from shard_tools.sources.split_names import UNKNOWN, split_of
from shard_tools.sources.table_columns import TABLE_SUFFIXES, read_columns

NAME, SPLIT_TABLES = "imagefolder", "splittables"
_FILES = ("metadata.csv", "metadata.jsonl", "metadata.parquet")
_HUB = "data"
"""Folder in which data sets of Hugging Face often lie."""


def detect(source: Path) -> bool:
    """Whether a metadata file that names photos and labels is there, or in each split's folder."""
    return _readable(_metadata(source))


def detect_tables(source: Path) -> bool:
    """Whether there are tables called like several splits that name photos and labels."""
    return len({split_of(file.stem) for file in _split_tables(source)}) > 1


def read(source: Path, options: SourceOptions) -> Records:
    """List the photos that the metadata files name, relative to their folders.

    Raises:
        StoreError: no such file, or one without columns of file names and labels.
    """
    files = _metadata(source)
    if not files:
        raise StoreError(f"--source {source}: no {' or '.join(_FILES)} there")
    tables = []
    for file in files:
        table = _table(source, file, options)
        if file.parent != source:
            prefix = pa.scalar(f"{file.parent.relative_to(source)}/")
            joined = pc.binary_join_element_wise(prefix, table["path"], "")
            table = table.set_column(0, "path", joined)
        tables.append(_with_split(table, file.parent.name))
    roots = [options.root] if options.root else [source]
    return _records(NAME, files, tables, roots, options)


def read_tables(source: Path, options: SourceOptions) -> Records:
    """List the photos that the table of each split names.

    Raises:
        StoreError: not such tables.
    """
    files = _split_tables(source)
    if not files:
        raise StoreError(f"--source {source}: no tables train.csv and val.csv or test.csv there")
    tables = [_with_split(_table(source, file, options), file.stem) for file in files]
    roots = [options.root] if options.root else beside(files[0])
    return _records(SPLIT_TABLES, files, tables, roots, options)


def _table(source: Path, file: Path, options: SourceOptions) -> pa.Table:
    options.forbid(source, "a folder whose tables hold the labels", "labels", "classes")
    return read_columns(file, options)


def _with_split(table: pa.Table, name: str) -> pa.Table:
    if split_of(name) == UNKNOWN or "split" in table.column_names:
        return table
    return table.append_column("split", pa.array([name] * len(table), pa.string()))


def _records(
    kind: str,
    files: Sequence[Path],
    tables: Sequence[pa.Table],
    roots: Sequence[Path],
    options: SourceOptions,
) -> Records:
    table = pa.concat_tables(tables, promote_options="default")
    names = ", ".join(dict.fromkeys(file.name for file in files))
    return replace(records_of(kind, files[0], table, roots, options), label_file=names)


def _readable(files: Sequence[Path]) -> bool:
    """Whether all of some tables have columns of photos and labels; False of none."""
    try:
        for file in files:
            read_columns(file, SourceOptions())
    except StoreError:
        return False
    return bool(files)


def _metadata(source: Path) -> list[Path]:
    """The metadata files of a folder, or else those of the folders in it or in ``data``."""
    own = [source / name for name in _FILES if (source / name).is_file()]
    if own or not source.is_dir():
        return own[:1]
    folders = sorted(entry for entry in source.iterdir() if entry.is_dir())
    found = [[f / name for name in _FILES if (f / name).is_file()][:1] for f in folders]
    files = [file for files in found for file in files]
    return files or (_metadata(source / _HUB) if (source / _HUB).is_dir() else [])


def _split_tables(source: Path) -> list[Path]:
    """The tables of a folder that are called like splits and name photos and labels, in order."""
    files = [file for file in source.iterdir() if file.suffix.lower() in TABLE_SUFFIXES]
    named = [file for file in files if split_of(file.stem) != UNKNOWN and file.is_file()]
    named.sort(key=lambda file: (split_of(file.stem), file.name))
    return [file for file in named if _readable([file])]


LAYOUT = Layout(
    NAME, "a folder with metadata.csv or .jsonl (file_name, label)", (FOLDER,), detect, read
)
TABLES_LAYOUT = Layout(
    SPLIT_TABLES,
    "a folder with train.csv, val.csv and test.csv (path, label)",
    (FOLDER,),
    detect_tables,
    read_tables,
)
