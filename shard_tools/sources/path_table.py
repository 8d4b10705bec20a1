"""A table of paths and labels: CSV, parquet or JSON lines."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.json
import pyarrow.parquet as pq

from shard_tools.columns import column_names, one_array, pc, read_csv
from shard_tools.errors import StoreError
from shard_tools.sources.folder import list_files
from shard_tools.sources.join import one_label_each, with_extra
from shard_tools.sources.labels import NameFile, class_table
from shard_tools.sources.layout import COLUMNS, TABLE, Layout, SourceOptions
from shard_tools.sources.readers import FolderReader
from shard_tools.sources.records import Records, is_photo, photo_table, stems

NAME = "table"
JSON_SUFFIXES = (".jsonl", ".ndjson")
TABLE_SUFFIXES = (".csv", ".parquet", *JSON_SUFFIXES)
#: Folders beside a table that may hold its photos, after the table's own; {} is the table's name.
_ROOTS = ("", "{}", "images", "photos", "train")
_PROBED = 100
"""Paths of a table that are looked up before a build begins."""


def detect(source: Path) -> bool:
    """Whether it is a table by its suffix."""
    return source.suffix.lower() in TABLE_SUFFIXES


def read(source: Path, options: SourceOptions) -> Records:
    """List the rows of a table that has a column of paths and one of labels.

    Paths are absolute, or relative to ``options.root``, to the table's folder, or to a folder
    beside the table that is called like it, ``images``, ``photos`` or ``train``. A suffix that they
    lack is added. A missing file shows when it is packed; only a table of which no path in a sample
    exists is refused here.

    Raises:
        StoreError: not such a table.
    """
    options.forbid(source, "a table that holds the labels itself", "labels", "classes")
    table = read_columns(source, options)
    root = _root(source, table["path"], options.root)
    table = table.set_column(0, "path", with_suffixes(root, table["path"]))
    return records_of(NAME, source, table, root, options)


def records_of(
    kind: str, source: Path, table: pa.Table, root: Path, options: SourceOptions
) -> Records:
    """Records of a table.

    Args:
        kind: name of the layout.
        source: the table's file, for messages.
        table: columns ``path``, ``landmark_id``, perhaps ``split``, and those of ``options.extra``.
        root: folder that the paths are relative to.
        options: how the source is read.
    """
    table, rejected = one_label_each(table, "path", source.name)
    names = NameFile.in_folder(source.parent)
    classes, numbers = class_table(pc.utf8_normalize(table["landmark_id"], form="NFC"), names)
    photos = photo_table(stems(table["path"]), table.select(["path"]))
    reader = FolderReader(str(root))
    records = Records(kind, reader, photos, numbers, classes, rejected, source.name)
    return with_extra(records, table, options)


def read_columns(source: Path, options: SourceOptions) -> pa.Table:
    """The columns of a table that matter, under our names.

    Returns:
        ``path`` and ``landmark_id`` (strings), ``split`` (strings) where there is such a column,
        and those of ``options.extra`` in the types that they have.

    Raises:
        StoreError: unreadable, or no such columns.
    """
    names = _column_names(source)
    found = find_columns(source, names, options)
    wanted = list(dict.fromkeys(found.values()))
    missing = [name for name in options.extra if name not in names]
    if missing:
        raise StoreError(f"{source}: no column {missing[0]}; it has {', '.join(names)}")
    if source.suffix.lower() == ".csv":
        table = read_csv(source, wanted, carry=[n for n in options.extra if n not in wanted])
    else:
        table = _read(source, list(dict.fromkeys([*wanted, *options.extra])))
    ours = {"path": "path", "label": "landmark_id", "split": "split"}
    try:
        columns = {ours[what]: _strings(table[name]) for what, name in found.items()}
    except pa.ArrowException as error:
        raise StoreError(f"{source}: cannot be read as paths and labels ({error})") from None
    return pa.table(columns | {name: table[name] for name in options.extra})


def find_columns(source: Path, names: Sequence[str], options: SourceOptions) -> dict[str, str]:
    """Which column of a table is what: ``path`` and ``label``, and ``split`` if there is one.

    Raises:
        StoreError: no column of paths or labels, or a named one is not there.
    """
    given = dict(options.columns)
    found: dict[str, str] = {}
    for what, usual in COLUMNS.items():
        if what in given:
            if given[what] not in names:
                raise StoreError(
                    f"--columns {what}={given[what]}: {source} has no such column; it has "
                    f"{', '.join(names)}"
                )
            found[what] = given[what]
            continue
        lower = {name.lower(): name for name in reversed(names) if name not in found.values()}
        match = next((lower[name] for name in usual if name in lower), None)
        if match is not None:
            found[what] = match
    if "path" not in found or "label" not in found:
        raise StoreError(
            f"{source}: needs columns path and landmark_id (or label); it has {', '.join(names)}; "
            "name them, such as --columns path=image,label=species"
        )
    return found


def with_suffixes(root: Path, paths: pa.ChunkedArray) -> pa.ChunkedArray:
    """Paths with the suffixes that they lack: ``a/12`` becomes ``a/12.jpg``, or ``x/y/12.jpg``.

    Only where most paths have no suffix of a photo; then the files under ``root`` are listed once.
    Those that are not found stay as they are.
    """
    bare = pc.invert(is_photo(paths))
    if not len(paths) or pc.sum(bare).as_py() * 2 <= len(paths):
        return paths
    files = list_files(root)[0]
    files = files.filter(is_photo(files))
    for known in (pc.replace_substring_regex(files, r"(?s)\.[^./]*$", ""), stems(files)):
        counts = pc.value_counts(known)
        once = counts.field("values").filter(pc.equal(counts.field("counts"), 1))
        place = pc.index_in(paths, value_set=one_array(known))
        sure = pc.and_(bare, pc.is_in(paths, value_set=once))
        found = files.take(pc.if_else(sure, place, None))
        paths = pc.if_else(pc.is_valid(found), found, paths)
        bare = pc.invert(is_photo(paths))
    return paths


def _root(source: Path, paths: pa.ChunkedArray, given: Path | None) -> Path:
    """The folder that paths are relative to: the first in which one of a sample is there."""
    rows = np.linspace(0, max(len(paths) - 1, 0), min(_PROBED, len(paths))).astype(np.int64)
    sample = paths.take(pa.array(rows))
    folders = [given] if given else [source.parent / name.format(source.stem) for name in _ROOTS]
    for folder in folders:
        if folder.is_dir() and _any_there(folder, with_suffixes(folder, sample)):
            return folder
    if not len(paths):
        return folders[0]
    where = f"--root {given}" if given else str(source.parent)
    raise StoreError(
        f"{source}: none of {len(sample)} of its paths is there, such as {sample[0].as_py()}; "
        f"paths are absolute or relative to {where}; name their folder with --root"
    )


def _any_there(folder: Path, paths: pa.ChunkedArray) -> bool:
    for path in paths.to_pylist():
        try:
            if os.path.exists(folder / path):  # noqa: PTH110 (a NUL raises, and is no fault of ours)
                return True
        except ValueError:
            continue
    return False


def _strings(column: pa.ChunkedArray) -> pa.ChunkedArray:
    if pa.types.is_dictionary(column.type):
        column = column.cast(column.type.value_type)
    return pc.utf8_trim_whitespace(pc.fill_null(column.cast(pa.string()), ""))


def _column_names(source: Path) -> list[str]:
    if source.suffix.lower() == ".csv":
        return column_names(source)
    try:
        if source.suffix.lower() in JSON_SUFFIXES:
            return _json(source).column_names
        return pq.read_schema(source).names
    except (pa.ArrowException, OSError) as error:
        kind = "parquet" if source.suffix.lower() == ".parquet" else "JSON lines"
        raise StoreError(f"{source}: not a {kind} file ({_one_line(error)})") from None


def _read(source: Path, columns: list[str]) -> pa.Table:
    try:
        if source.suffix.lower() in JSON_SUFFIXES:
            return _json(source).select(columns)
        return pq.read_table(source, columns=columns)
    except (pa.ArrowException, OSError) as error:
        text = _one_line(error)
        raise StoreError(f"{source}: cannot be read as paths and labels ({text})") from None


def _json(source: Path) -> pa.Table:
    return pyarrow.json.read_json(source)


def _one_line(error: Exception) -> str:
    return " ".join(str(error).split())


LAYOUT = Layout(
    NAME,
    "a .csv, .parquet or .jsonl table of path and label",
    (TABLE,),
    detect,
    read,
)
