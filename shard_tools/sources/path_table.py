"""A CSV or parquet table of paths and labels."""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from shard_tools.columns import column_names, pc, read_csv
from shard_tools.errors import StoreError
from shard_tools.sources.join import one_label_each
from shard_tools.sources.labels import NameFile, class_table
from shard_tools.sources.readers import FolderReader
from shard_tools.sources.records import Records, photo_table, stems

TABLE_SUFFIXES = (".csv", ".parquet")

_LABEL_COLUMNS = ("landmark_id", "label")

_PROBED = 100
"""Paths of a table that are looked up before a build begins."""


def path_table(source: Path, labels: Path | None) -> Records:
    """A CSV or parquet table with columns ``path`` and ``landmark_id`` (or ``label``).

    Paths are absolute or relative to the table's folder. Whether each is there shows when it is
    packed; only if none of a sample is, the table is refused.
    """
    if labels is not None:
        raise StoreError(f"--labels {labels}: {source.name} holds the labels itself; leave it out")
    table = _read_paths(source)
    table, rejected = one_label_each(table, "path", source.name)
    _probe(source, table["path"])
    classes, numbers = class_table(table["landmark_id"], NameFile.in_folder(source.parent))
    photos = photo_table(stems(table["path"]), table.select(["path"]))
    reader = FolderReader(str(source.parent))
    return Records("table", reader, photos, numbers, classes, rejected, source.name)


def _read_paths(source: Path) -> pa.Table:
    names = _column_names(source)
    label = next((name for name in _LABEL_COLUMNS if name in names), None)
    if "path" not in names or label is None:
        raise StoreError(
            f"{source}: needs columns path and landmark_id (or label); it has {', '.join(names)}"
        )
    columns = ["path", label]
    if source.suffix.lower() == ".csv":
        table = read_csv(source, columns)
    else:
        try:
            table = pq.read_table(source, columns=columns)
            parts = [_strings(column) for column in table.columns]
        except (pa.ArrowException, OSError) as error:
            raise StoreError(f"{source}: cannot be read as paths and labels ({error})") from None
        table = pa.table(parts, names=columns)
    return table.rename_columns(["path", "landmark_id"])


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
