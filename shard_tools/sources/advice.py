"""What to type instead, where a source was misunderstood: finds the table that holds its labels."""

from __future__ import annotations

import re
import shlex
import tempfile
from dataclasses import dataclass
from pathlib import Path

import pyarrow as pa

from shard_tools.columns import pc
from shard_tools.errors import StoreError
from shard_tools.sources.folder import list_files
from shard_tools.sources.labels import NAME_FILES
from shard_tools.sources.layout import SourceOptions
from shard_tools.sources.path_table import beside, paths_there, posix
from shard_tools.sources.records import file_names, is_photo, stems
from shard_tools.sources.table_columns import (
    TABLE_SUFFIXES,
    column_names_of,
    holds_predictions,
    read_paths,
    usual_columns,
)
from shard_tools.sources.zips import read_directory, read_member

_TABLES = _COLUMNS = 20
"""Tables and columns that are looked at, at most."""
_MOST = 0.9
"""Of the values of a column that name photos, if its own name does not say that it does."""
_LARGEST = 256 << 20
"""Bytes of a table in a zip that is looked into; label files of millions of photos have 100 MB."""


def label_advice(source: Path) -> str:
    """What to give instead of a source whose folders are not its classes, as a phrase."""
    table = unused_table(source)
    return f"give {table}" if table else "give a table with columns path and label as --source"


def unused_table(source: Path, used: pa.ChunkedArray | None = None) -> str | None:
    """The arguments that read a table that names the photos of a source, in it or beside it.

    None where there is no such table.

    Args:
        source: folder or zip of the photos.
        used: paths of the photos that the table must name some of; None for all photos there.
    """
    if source.is_file():
        return _in_zip(source, used)
    tables = sorted(p for p in source.iterdir() if p.suffix.lower() in TABLE_SUFFIXES)
    tables += [source.with_name(source.name + suffix) for suffix in TABLE_SUFFIXES]
    names = {name for name, _ in NAME_FILES}
    tables = [t for t in tables if t.is_file() and t.name not in names][:_TABLES]
    if not tables:
        return None
    photos = _names_of(list_files(source)[0] if used is None else used)
    found = [_arguments(file, source, photos) for file in tables]
    return min((way for way in found if way), default=(0, None))[1]


def _names_of(paths: pa.ChunkedArray) -> pa.Array:
    """Names of photos as a table may have them, with and without suffix."""
    paths = paths.filter(is_photo(paths))
    names = [*file_names(paths).chunks, *stems(paths).chunks]
    return pc.unique(pa.chunked_array(names, pa.string()))


@dataclass(frozen=True)
class _Columns:
    """What the columns of a table are, if it names photos."""

    path: str
    argument: str
    """``--columns ...`` with a blank before it, or nothing where the names are the usual ones."""
    unclear: int
    """How much a user has to say about them."""
    hint: str = ""
    """What to choose from, in brackets."""


def _columns(file: Path, photos: pa.Array) -> _Columns | None:
    """The columns of a table that names some of these photos, and has something to say of them.

    Raises:
        StoreError, OSError, pa.ArrowException: it cannot be read.
    """
    names = column_names_of(file)
    if holds_predictions(names):
        return None
    found = usual_columns(names, SourceOptions())
    path = _path_column(file, names, found, photos)
    others = [name for name in names if name not in (*found.values(), path)]
    if path is None or not (others or "label" in found):
        return None
    columns = [] if found.get("path") == path else [f"path={path}"]
    if "label" not in found:
        columns.append(f"label={others[0]}" if len(others) == 1 else "label=COLUMN")
    argument = f" --columns {shlex.quote(','.join(columns))}" if columns else ""
    if "label" in found or len(others) == 1:
        return _Columns(path, argument, len(columns))
    return _Columns(path, argument, len(columns) + 1, f" (it has {', '.join(names)})")


def _arguments(file: Path, source: Path, photos: pa.Array) -> tuple[int, str] | None:
    """What reads a table, if it names some of these photos; before it, how much is unclear."""
    try:
        columns = _columns(file, photos)
        if columns is None:
            return None
        place = paths_there(read_paths(file, columns.path), [*beside(file), source])
    except (StoreError, OSError, pa.ArrowException):
        return None
    if not place.share:
        return None
    root = "" if place.root in beside(file) else f" --root {shlex.quote(str(place.root))}"
    text = f"--source {shlex.quote(str(file))}{columns.argument}{root}{columns.hint}"
    return columns.unclear, text


def _path_column(
    file: Path, names: list[str], found: dict[str, str], photos: pa.Array
) -> str | None:
    """The column that names photos: by its name and values, or else by its values alone."""
    if "path" in found and _share(file, found["path"], photos):
        return found["path"]
    others = [name for name in names if name not in found.values()][:_COLUMNS]
    return next((n for n in others if _share(file, n, photos, sure=True) >= _MOST), None)


def _share(file: Path, column: str, photos: pa.Array, sure: bool = False) -> float:
    """How many values of a column name photos, 0 to 1; ``sure`` trusts no small numbers."""
    values = pc.unique(file_names(posix(read_paths(file, column))))
    values = values.filter(pc.not_equal(values, ""))
    named = pc.is_in(values, value_set=photos)
    if sure:
        named = pc.and_(named, pc.invert(pc.match_substring_regex(values, r"^\d{1,4}$")))
    return pc.sum(named).as_py() / len(values) if len(values) else 0.0


def _in_zip(source: Path, used: pa.ChunkedArray | None) -> str | None:
    """The same for a zip: its table cannot be read in place."""
    if source.suffix.lower() != ".zip":
        return None
    members = read_directory(source)
    photos = _names_of(members["path"] if used is None else used)
    folder = source.with_suffix("")
    for path in _tables_in(members):
        with tempfile.TemporaryDirectory() as scratch:
            file = Path(scratch) / f"table{Path(path).suffix}"
            try:
                file.write_bytes(read_member(source, members, path))
                columns = _columns(file, photos)
            except (StoreError, OSError, pa.ArrowException):
                continue
        if columns is not None:
            table = f"{shlex.quote(str(folder / path))}{columns.argument}{columns.hint}"
            unzip = f"unzip {shlex.quote(str(source))} -d {shlex.quote(str(folder))}"
            return f"its table: {unzip}, then --source {table}"
    return None


def _tables_in(members: pa.Table) -> list[str]:
    """Members of a zip that may be tables of labels, the outermost first."""
    suffixes = "|".join(re.escape(suffix) for suffix in TABLE_SUFFIXES)
    named = pc.match_substring_regex(members["path"], f"({suffixes})$", ignore_case=True)
    hidden = pc.match_substring_regex(members["path"], r"(^|/)(\.|__MACOSX)")
    small = pc.less_equal(members["size"], _LARGEST)
    paths = members["path"].filter(pc.and_(pc.and_not(named, hidden), small)).to_pylist()
    names = {name for name, _ in NAME_FILES}
    tables = [path for path in paths if path.rpartition("/")[2] not in names]
    return sorted(tables, key=lambda path: (path.count("/"), path))[:_TABLES]
