"""Label files: ids of classes in order, and their names."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from urllib.parse import unquote

import numpy as np
import pyarrow as pa
from pyarrow import csv

from shard_tools.arrow import pc
from shard_tools.format import StoreError

#: Files that name the classes, the first that is there counts: file, column.
NAME_FILES = (("landmarks.csv", "name"), ("train_label_to_category.csv", "category"))
_INTEGER = "^[0-9]{1,18}$"


def read_csv(path: Path, columns: Sequence[str]) -> pa.Table:
    """Columns of a CSV file with a header, all as strings without blanks around them.

    Raises:
        StoreError: no such file, or columns missing, or not a CSV file.
    """
    if not path.is_file():
        raise StoreError(f"{path}: no such file")
    try:
        with csv.open_csv(path) as reader:
            names = reader.schema.names
        missing = [name for name in columns if name not in names]
        if missing:
            raise StoreError(
                f"{path}: no column {' and no column '.join(missing)}; it has {', '.join(names)}"
            )
        convert = csv.ConvertOptions(
            include_columns=list(columns), column_types=dict.fromkeys(columns, pa.string())
        )
        table = csv.read_csv(path, convert_options=convert)
    except (pa.ArrowException, OSError) as error:
        raise StoreError(f"{path}: not a CSV file ({' '.join(str(error).split())})") from None
    return pa.table([pc.utf8_trim_whitespace(column) for column in table.columns], list(columns))


def class_table(landmark_ids: pa.ChunkedArray, source: Path) -> tuple[pa.Table, np.ndarray]:
    """The classes of a source in the order of their labels, and the label of every photo.

    Classes stand in the order of their numbers where all ids are integers, else of their names.

    Args:
        landmark_ids: of every photo, strings. Length N.
        source: folder that may hold one of ``NAME_FILES``.

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
    return pa.table({"landmark_id": ids, "name": class_names(ids, source)}), labels


def class_names(ids: pa.Array, source: Path) -> pa.Array:
    """Names of classes from the first of ``NAME_FILES`` in ``source``; null where none is given."""
    for file, column in NAME_FILES:
        if (source / file).is_file():
            table = read_csv(source / file, ("landmark_id", column))
            names = table[column].combine_chunks()
            if column == "category":
                names = pa.array([category_name(url) for url in names.to_pylist()], pa.string())
            known = table["landmark_id"].combine_chunks()
            found = names.take(pc.index_in(ids, value_set=known))
            return pc.if_else(pc.equal(found, ""), pa.scalar(None, pa.string()), found)
    return pa.nulls(len(ids), pa.string())


def category_name(url: str) -> str:
    """``Cologne Cathedral`` from ``http://commons.wikimedia.org/wiki/Category:Cologne_Cathedral``."""
    return unquote(url.rpartition("Category:")[2]).replace("_", " ").strip()
