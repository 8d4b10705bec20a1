"""A CSV or parquet table of paths and labels."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from shard_tools.columns import column_names, pc, read_csv
from shard_tools.errors import StoreError
from shard_tools.sources.join import one_label_each
from shard_tools.sources.labels import NameFile, class_table
from shard_tools.sources.layout import TABLE, Layout, SourceOptions
from shard_tools.sources.readers import FolderReader
from shard_tools.sources.records import Records, photo_table, stems

TABLE_SUFFIXES = (".csv", ".parquet")

_LABEL_COLUMNS = ("landmark_id", "label")

_PROBED = 100
"""Paths of a table that are looked up before a build begins."""


NAME = "table"


def detect(source: Path) -> bool:
    """Whether it is a table by its suffix."""
    return source.suffix.lower() in TABLE_SUFFIXES


def read(source: Path, options: SourceOptions) -> Records:
    """List the rows of a table with columns ``path`` and ``landmark_id`` (or ``label``).

    Paths are absolute or relative to the table's folder. A missing file shows when it is packed;
    only a table of which no path in a sample exists is refused here.

    Raises:
        StoreError: not such a table.
    """
    options.forbid(source, "a table that holds the labels itself", "labels")
    table = _read_paths(source, options.carry)
    table, rejected = one_label_each(table, "path", source.name)
    _probe(source, table["path"])
    classes, numbers = class_table(table["landmark_id"], NameFile.in_folder(source.parent))
    photos = photo_table(stems(table["path"]), table.select(["path"]))
    reader = FolderReader(str(source.parent))
    return Records(
        NAME,
        reader,
        photos,
        numbers,
        classes,
        rejected,
        source.name,
        carried=table.select(list(options.carry)),
    )


def _read_paths(source: Path, carry: Sequence[str]) -> pa.Table:
    names = _column_names(source)
    label = next((name for name in _LABEL_COLUMNS if name in names), None)
    if "path" not in names or label is None:
        raise StoreError(
            f"{source}: needs columns path and landmark_id (or label); it has {', '.join(names)}"
        )
    columns = ["path", label]
    if source.suffix.lower() == ".csv":
        table = read_csv(source, columns, carry=carry)
    else:
        missing = [name for name in carry if name not in names]
        if missing:
            raise StoreError(f"{source}: no column {missing[0]}; it has {', '.join(names)}")
        try:
            table = pq.read_table(source, columns=[*columns, *carry])
            parts = [_strings(table[name]) for name in columns]
        except (pa.ArrowException, OSError) as error:
            raise StoreError(f"{source}: cannot be read as paths and labels ({error})") from None
        table = pa.table([*parts, *(table[name] for name in carry)], names=[*columns, *carry])
    return table.rename_columns(["path", "landmark_id", *carry])


def _strings(column: pa.ChunkedArray) -> pa.ChunkedArray:
    return pc.utf8_trim_whitespace(pc.fill_null(column.cast(pa.string()), ""))


def _column_names(source: Path) -> list[str]:
    if source.suffix.lower() == ".csv":
        return column_names(source)
    try:
        return pq.read_schema(source).names
    except (pa.ArrowException, OSError) as error:
        raise StoreError(f"{source}: not a parquet file ({error})") from None


def _probe(source: Path, paths: pa.ChunkedArray) -> None:
    rows = np.linspace(0, max(len(paths) - 1, 0), min(_PROBED, len(paths))).astype(np.int64)
    sample = paths.take(pa.array(rows)).to_pylist()
    if sample and not any(os.path.exists(source.parent / path) for path in sample):  # noqa: PTH110
        raise StoreError(
            f"{source}: none of {len(sample)} of its paths is there, such as {sample[0]}; "
            f"paths are absolute or relative to {source.parent}"
        )


LAYOUT = Layout(NAME, "a .csv or .parquet table of path and landmark_id", (TABLE,), detect, read)
