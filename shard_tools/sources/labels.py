"""Label files: where they are, which photo has which label, and the names of classes."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import unquote

import numpy as np
import pyarrow as pa

from shard_tools.columns import column_names, one_array, pc, read_csv
from shard_tools.errors import StoreError
from shard_tools.sources.layout import COLUMNS, SourceOptions
from shard_tools.sources.tars import find_tars
from shard_tools.sources.zips import read_member

TRAIN = "train.csv"

CLEAN = "train_clean.csv"

#: Files that name the classes, the first that is there counts: file, column.
NAME_FILES = (("landmarks.csv", "name"), ("train_label_to_category.csv", "category"))

_INTEGER = "^[0-9]{1,18}$"


def find_label_file(source: Path) -> Path | None:
    """The label file of a folder whose photos are named by their ids; None if there is none.

    Beside the tars of GLDv2 the cleaned labels come first, as the data set's authors advise; beside
    folders of photos those of the competition do. Either may be in ``metadata/``, as in the bucket.
    """
    names = (CLEAN, TRAIN) if find_tars(source) else (TRAIN, CLEAN)
    files = (source / folder / name for name in names for folder in ("", "metadata"))
    return next((file for file in files if file.is_file()), None)


def names_ids(columns: Sequence[str]) -> bool:
    """Whether a table with some columns is a label file of ids, in either form."""
    return "landmark_id" in columns and bool({"id", "images"} & set(columns))


def read_labels(
    path: Path, data: bytes | None = None, options: SourceOptions | None = None
) -> pa.Table:
    """The label of every id, from either form of label file.

    Either ``id,landmark_id`` with a row per photo, or, as ``train_clean.csv``,
    ``landmark_id,images`` with a row per class and its ids between blanks.

    Args:
        path: of the file.
        data: its content if it is not on disk.
        options: how the source is read: which further columns.

    Returns:
        Columns ``id`` and ``landmark_id``, strings; with ``options`` also ``split`` where there is
        such a column, and those of ``options.extra``.

    Raises:
        StoreError: neither of them.
    """
    names = column_names(path, data)
    carry = _extra_columns(names, options)
    if "images" not in names or "id" in names:
        return _with_split(read_csv(path, ("id", "landmark_id"), data, carry), options)
    table = read_csv(path, ("landmark_id", "images"), data, carry)
    lists = one_array(pc.utf8_split_whitespace(table["images"]))
    parents = pc.list_parent_indices(lists)
    columns = {name: table[name].take(parents) for name in ("landmark_id", *carry)}
    table = pa.table({"id": pc.list_flatten(lists), **columns})
    return _with_split(table.filter(pc.not_equal(table["id"], "")), options)


def _extra_columns(names: Sequence[str], options: SourceOptions | None) -> list[str]:
    """Columns to read beside id and label."""
    if options is None:
        return []
    split = dict(options.columns).get("split")
    split = split or next((name for name in COLUMNS["split"] if name in names), None)
    return list(dict.fromkeys([*options.extra, *([split] if split else [])]))


def _with_split(table: pa.Table, options: SourceOptions | None) -> pa.Table:
    """The table with its column of splits called ``split``."""
    if options is None or "split" in table.column_names:
        return table
    named = [dict(options.columns).get("split"), *COLUMNS["split"]]
    name = next((name for name in named if name in table.column_names), None)
    return table if name is None else table.append_column("split", table[name].cast(pa.string()))


@dataclass(frozen=True)
class NameFile:
    """One of ``NAME_FILES``, found beside the photos."""

    path: Path
    column: str
    data: bytes | None = None
    """Its content, where it is a member of a zip."""

    @classmethod
    def in_folder(cls, folder: Path) -> NameFile | None:
        """The one in a folder, None if there is none that names classes."""
        found = (cls(folder / file, column) for file, column in NAME_FILES)
        return next((name for name in found if name.path.is_file() and name._usable()), None)

    @classmethod
    def in_zip(cls, zipped: Path, members: pa.Table, prefix: str) -> NameFile | None:
        """The one in a folder of a zip, None if there is none that names classes."""
        for file, column in NAME_FILES:
            if pc.any(pc.equal(members["path"], prefix + file), min_count=0).as_py():
                data = read_member(zipped, members, prefix + file)
                name = cls(zipped / file, column, data)
                if name._usable():
                    return name
        return None

    def _usable(self) -> bool:
        """Whether it has the columns: a file of the same name may be something else."""
        try:
            names = column_names(self.path, self.data)
        except StoreError:
            return False
        return {"landmark_id", self.column} <= set(names)


def class_table(
    landmark_ids: pa.ChunkedArray, names: NameFile | None
) -> tuple[pa.Table, np.ndarray]:
    """The classes of a source in the order of their labels, and the label of every photo.

    Classes are ordered by number if all ids are integers, else by name.

    Args:
        landmark_ids: of every photo, strings. Length N.
        names: the file that names the classes, where there is one.

    Returns:
        Table with columns ``landmark_id`` and ``name``; labels of shape (N,), int32.
    """
    ids = pc.unique(landmark_ids)
    numeric = pc.all(pc.match_substring_regex(ids, _INTEGER)).as_py()
    numbers = ids.cast(pa.int64()) if numeric else pa.array(np.zeros(len(ids), np.int64))
    keys = [("number", "ascending"), ("id", "ascending")]
    order = pc.sort_indices(pa.table({"number": numbers, "id": ids}), sort_keys=keys)
    ids = ids.take(order)
    labels = pc.index_in(landmark_ids, value_set=ids).to_numpy().astype(np.int32)
    return pa.table({"landmark_id": ids, "name": class_names(ids, names)}), labels


def class_names(ids: pa.Array, file: NameFile | None) -> pa.Array:
    """Names of classes; null where none is given."""
    if file is None:
        return pa.nulls(len(ids), pa.string())
    table = read_csv(file.path, ("landmark_id", file.column), file.data)
    names = one_array(table[file.column])
    if file.column == "category":
        names = pa.array([category_name(url) for url in names.to_pylist()], pa.string())
    found = names.take(pc.index_in(ids, value_set=one_array(table["landmark_id"])))
    return pc.if_else(pc.equal(found, ""), pa.scalar(None, pa.string()), found)


def category_name(url: str) -> str:
    """``Cologne Cathedral`` from ``http://commons.wikimedia.org/wiki/Category:Cologne_Cathedral``."""
    return unquote(url.rpartition("Category:")[2]).replace("_", " ").strip()
