"""Sources that list their photos themselves: a table of paths and labels, and a finished store."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from shard_tools.columns import one_array, pc
from shard_tools.errors import StoreError
from shard_tools.sources.folder import FolderReader, stems
from shard_tools.sources.kaggle import one_label_each
from shard_tools.sources.labels import NameFile, class_table, column_names, read_csv
from shard_tools.sources.readers import SpanReader
from shard_tools.sources.records import REJECTED_SCHEMA, Records, photo_table
from shard_tools.store.manifest import ShardInfo
from shard_tools.store.store import Store

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


def store_photos(source: Path, labels: Path | None) -> Records:
    """A finished store: to split, resize or choose classes anew. Keys stay as they are."""
    if labels is not None:
        raise StoreError(f"--labels {labels}: a store holds its labels itself; leave it out")
    store = Store.open(source)
    shards = store.manifest.shards
    _check_shards(source, shards)
    samples = store.samples(["key", "landmark_id", "label", "shard", "offset", "size", "xxh128"])
    names = samples["shard"].cast(pa.string())
    places = pc.index_in(names, value_set=pa.array([shard.name for shard in shards]))
    files = pc.binary_join_element_wise(samples["key"], "jpg", ".")
    photos = pa.table(
        {
            "key": samples["key"],
            "path": pc.binary_join_element_wise(names, files, "/"),
            "volume": places.cast(pa.int32()),
            "offset": samples["offset"],
            "size": samples["size"].cast(pa.int64()),
        }
    )
    known = store.classes()
    used = pc.unique(samples["label"]).sort()  # a class may have lost its last photo
    classes = known.take(used).select(["landmark_id", "name"])
    numbers = pc.index_in(samples["label"], value_set=one_array(pa.chunked_array([used])))
    reader = SpanReader([str(source / shard.name) for shard in shards])
    checked = store.manifest.options.get("check") == "full"
    return Records(
        "store",
        reader,
        photos,
        numbers.to_numpy().astype(np.int32),
        classes,
        REJECTED_SCHEMA.empty_table(),
        whole_digests=one_array(samples["xxh128"]) if checked else None,
    )


def _check_shards(source: Path, shards: Sequence[ShardInfo]) -> None:
    for shard in shards:
        path = source / shard.name
        size = path.stat().st_size if path.is_file() else -1
        if size != shard.bytes:
            found = f"{size:,} bytes" if size >= 0 else "missing"
            raise StoreError(
                f"{path}: {found}, the manifest says {shard.bytes:,} bytes; the store is damaged"
            )
