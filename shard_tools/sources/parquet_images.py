"""Data sets of Hugging Face as parquet files that hold the bytes of the photos."""

from __future__ import annotations

import json
import shlex
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from shard_tools.columns import one_array, pc
from shard_tools.errors import StoreError
from shard_tools.sources.join import with_extra
from shard_tools.sources.labels import class_table
from shard_tools.sources.layout import COLUMNS, FOLDER, TABLE, Layout, SourceOptions
from shard_tools.sources.parquet_reader import PLACE, ParquetReader
from shard_tools.sources.records import Records, photo_table, rejects, stems
from shard_tools.sources.split_names import UNKNOWN, as_splits, split_of

NAME = "hfparquet"
_FEW = 20
"""Folders in a folder, at most, in which parquet files are looked for."""


def detect(source: Path) -> bool:
    """Whether it is a parquet file, or a folder of them, with a column of image bytes."""
    try:
        files = _files(source)
        return bool(files) and _image_column(pq.read_schema(files[0])) is not None
    except (pa.ArrowException, OSError):
        return False


def read(source: Path, options: SourceOptions) -> Records:
    """List the rows of the files.

    Integer labels get the names that the data set gives them (``ClassLabel``).

    Raises:
        StoreError: not such files, or no column of labels.
    """
    options.forbid(source, "a data set that holds the labels itself", "labels", "classes")
    files = _files(source)
    _check_one_set(source, files)
    try:
        tables = [_list(number, file, source, options) for number, file in enumerate(files)]
        column = _image_column(pq.read_schema(files[0])) if files else None
    except (pa.ArrowException, OSError) as error:
        text = " ".join(str(error).split())
        raise StoreError(f"--source {source}: cannot be read ({text})") from None
    if column is None:
        raise StoreError(f"--source {source}: no column of image bytes in its parquet files")
    table = pa.concat_tables(tables, promote_options="default")
    blank = pc.equal(table["landmark_id"], "")
    unlabelled = rejects("no label", path=table["path"].filter(blank))
    table = table.filter(pc.invert(blank))
    classes, numbers = class_table(table["landmark_id"], None)
    places = table.select(["path", *PLACE])
    photos = photo_table(stems(table["path"]), places)
    reader = ParquetReader(tuple(map(str, files)), column)
    records = Records(NAME, reader, photos, numbers, classes, unlabelled, source.name)
    return with_extra(records, table, options)


def _list(volume: int, file: Path, source: Path, options: SourceOptions) -> pa.Table:
    schema = pq.read_schema(file)
    image = _image_column(schema)
    names = [name for name in schema.names if name != image]
    given = dict(options.columns)
    usual = {name.lower(): name for name in reversed(names)}
    label = given.get("label") or next((usual[n] for n in COLUMNS["label"] if n in usual), None)
    classes = [name for name in names if _class_names(schema, name)]
    if label is None and len(classes) == 1:
        label = classes[0]
    if label is None or label not in names:
        raise StoreError(
            f"{file}: no column of labels; it has {', '.join(schema.names)}; "
            f"name it with --columns label={classes[0] if classes else 'COLUMN'}"
        )
    missing = [name for name in options.extra if name not in names]
    if missing:
        raise StoreError(f"{file}: no column {missing[0]}; it has {', '.join(schema.names)}")
    split = given.get("split") or next((usual[n] for n in COLUMNS["split"] if n in usual), None)
    wanted = list(dict.fromkeys([label, *([split] if split else []), *options.extra]))
    table = pq.read_table(file, columns=wanted)
    rows = [
        pq.ParquetFile(file).metadata.row_group(group).num_rows
        for group in range(pq.ParquetFile(file).num_row_groups)
    ]
    group = np.repeat(np.arange(len(rows)), rows)
    row = np.arange(len(table)) - np.repeat(np.cumsum([0, *rows[:-1]]), rows)
    stem = file.stem if source.is_file() else str(file.relative_to(source).with_suffix(""))
    labels = _named(table[label], schema, label)
    columns: dict[str, Any] = {
        "path": [f"{stem}-{number:08d}.jpg" for number in range(len(table))],
        "landmark_id": labels,
        "volume": np.full(len(table), volume, np.int32),
        "group": group.astype(np.int32),
        "row": row.astype(np.int64),
    }
    if split:
        columns["split"] = table[split].cast(pa.string())
    else:
        called = (file.stem.split("-")[0], file.parent.name)
        said = next((name for name in called if split_of(name) != UNKNOWN), None)
        if said is not None:
            columns["split"] = [said] * len(table)
    return pa.table(columns | {name: table[name] for name in options.extra})


def _class_names(schema: pa.Schema, name: str) -> pa.Array | None:
    """The names of the classes of a ``ClassLabel`` column; None where it is none."""
    try:
        features = json.loads((schema.metadata or {})[b"huggingface"])["info"]["features"]
        return pa.array(features[name]["names"], pa.string())
    except (KeyError, TypeError, ValueError, pa.ArrowException):
        return None


def _named(column: pa.ChunkedArray, schema: pa.Schema, name: str) -> pa.ChunkedArray:
    """Labels as strings: names of a ``ClassLabel`` where the data set gives them.

    Empty where there is none: test sets often have -1.
    """
    names = _class_names(schema, name)
    if names is None or not pa.types.is_integer(column.type):
        text = column.cast(column.type.value_type) if _is_dictionary(column) else column
        return pc.utf8_trim_whitespace(pc.fill_null(text.cast(pa.string()), ""))
    known = pc.and_(pc.greater_equal(column, 0), pc.less(column, len(names)))
    places = pc.if_else(known, column, pa.scalar(None, column.type))
    return pa.chunked_array([pc.fill_null(names.take(one_array(places)), "")])


def _is_dictionary(column: pa.ChunkedArray) -> bool:
    return pa.types.is_dictionary(column.type)


def _image_column(schema: pa.Schema) -> str | None:
    """The column of images: structs with ``bytes``, or binary values."""
    for field in schema:
        kind = field.type
        if pa.types.is_struct(kind) and kind.get_field_index("bytes") >= 0:
            return field.name
        if pa.types.is_binary(kind) or pa.types.is_large_binary(kind):
            return field.name
    return None


def _files(source: Path) -> list[Path]:
    """The parquet files of a folder: in it, in ``data``, or one or two folders further down."""
    if source.is_file():
        return [source] if source.suffix.lower() == ".parquet" else []
    patterns = ["*.parquet", "data/*.parquet"]
    if sum(entry.is_dir() for entry in source.iterdir()) <= _FEW:  # else they are class folders
        patterns += ["*/*.parquet", "*/*/*.parquet"]
    for pattern in patterns:
        # Regular files only: whoever opens a pipe waits.
        files = sorted(file for file in source.glob(pattern) if file.is_file())
        if files:
            return files
    return []


def _check_one_set(source: Path, files: list[Path]) -> None:
    """Refuse several configurations of a data set, as the hub has them in folders.

    Raises:
        StoreError: files in several folders that are not splits.
    """
    if source.is_file():
        return
    tops = sorted({file.relative_to(source).parts[0] for file in files if file.parent != source})
    if len(tops) > 1 and not as_splits(tops):
        raise StoreError(
            f"--source {source}: parquet files in several folders ({', '.join(tops[:3])}); give "
            f"one of them, such as --source {shlex.quote(str(source / tops[0]))}"
        )


LAYOUT = Layout(
    NAME,
    "parquet files of Hugging Face with the bytes of the photos",
    (FOLDER, TABLE),
    detect,
    read,
)
