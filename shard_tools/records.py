"""From a source to its table of photos: keys, paths, labels, and what could not be used.

Two sources so far: the Kaggle layout (``train.csv`` and ``train/a/b/c/<id>.jpg``) and one folder
per class. Everything is columns of pyarrow and numpy; nothing is done row by row on a common path.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pyarrow as pa

from shard_tools.arrow import mask, one_array, pc
from shard_tools.format import StoreError
from shard_tools.keys import make_keys
from shard_tools.labels import class_table, read_csv
from shard_tools.sources import FolderReader, PhotoReader, is_photo, list_files, stems

LAYOUTS = ("kaggle", "folders")

PHOTOS_SCHEMA = pa.schema([("key", pa.string()), ("path", pa.string())])
#: What did not get in: ``reason`` is one of a few phrases to count by, ``detail`` says more.
REJECTED_SCHEMA = pa.schema(
    [
        ("key", pa.string()),
        ("path", pa.string()),
        ("landmark_id", pa.string()),
        ("reason", pa.string()),
        ("detail", pa.string()),
    ]
)


@dataclass(frozen=True)
class Records:
    """All photos of a source that have one label."""

    kind: str
    """One of ``LAYOUTS``."""
    reader: PhotoReader
    """Reads a photo by its path."""
    photos: pa.Table
    """``PHOTOS_SCHEMA``, one row per photo; keys are unique."""
    labels: np.ndarray
    """Row in ``classes`` of each photo. Shape (photos,), int32."""
    classes: pa.Table
    """Columns ``landmark_id`` and ``name`` (may be null), in the order of the labels."""
    rejected: pa.Table
    """``REJECTED_SCHEMA``: ids without a file, files without an id, and the like."""


def read_source(source: Path, layout: str | None = None) -> Records:
    """List a source.

    Args:
        source: the folder.
        layout: one of ``LAYOUTS``, or None to find out.

    Raises:
        StoreError: no photos there, or a label file that cannot be used.
    """
    if not source.exists():
        raise StoreError(f"--source {source}: no such folder; check the path")
    if not source.is_dir():
        raise StoreError(f"--source {source}: is a file; give the folder that holds the photos")
    if layout is None:
        layout = detect_layout(source)
    try:
        records = _read_kaggle(source) if layout == "kaggle" else _read_folders(source)
    except OSError as error:
        raise StoreError(f"--source {source}: cannot be listed ({error})") from None
    if not len(records.photos):
        raise StoreError(f"--source {source}: no photo there that has a label (layout {layout})")
    return records


def detect_layout(source: Path) -> str:
    """The layout of a source folder: one of ``LAYOUTS``.

    Raises:
        StoreError: neither fits.
    """
    if (source / "train.csv").exists():
        return "kaggle"
    if any(entry.is_dir() and not entry.name.startswith(".") for entry in source.iterdir()):
        return "folders"
    raise StoreError(
        f"--source {source}: neither a train.csv (Kaggle layout) nor a folder per class is there; "
        "check the path"
    )


def rejects(
    reason: str,
    key: pa.Array | pa.ChunkedArray | None = None,
    path: pa.Array | pa.ChunkedArray | None = None,
    landmark_id: pa.Array | pa.ChunkedArray | None = None,
    detail: pa.Array | pa.ChunkedArray | None = None,
) -> pa.Table:
    """Rows of the rejected table for one reason; columns not given are empty."""
    given = [key, path, landmark_id, None, detail]
    length = next(len(column) for column in given if column is not None)
    columns = [pa.array([""] * length) if column is None else column for column in given]
    columns[3] = pa.array([reason] * length, pa.string())
    return pa.table(columns, names=REJECTED_SCHEMA.names).cast(REJECTED_SCHEMA)


def _read_kaggle(source: Path) -> Records:
    table = read_csv(source / "train.csv", ("id", "landmark_id"))
    folder = source / "train"
    if not folder.is_dir():
        raise StoreError(f"{folder}: missing; photos of train.csv belong there: a/b/c/<id>.jpg")
    table, unusable = _one_label_each(table)
    paths, rejected = _listed(folder)
    ids = stems(paths)

    first = _first_rows(ids)
    again = first != np.arange(len(ids))
    rejected.append(_files("second file of an id", ids, paths, again))
    unlabelled = pc.is_in(ids, value_set=one_array(table["id"])).to_numpy() ^ True
    known = pc.is_in(ids, value_set=one_array(unusable["key"])).to_numpy()
    rejected.append(_files("not in train.csv", ids, paths, unlabelled & ~again & ~known))

    place = pc.index_in(table["id"], value_set=one_array(ids))
    found = pc.is_valid(place)
    lost = table.filter(pc.invert(found))
    rejected.append(rejects("no file", key=lost["id"], landmark_id=lost["landmark_id"]))
    table, place = table.filter(found), place.filter(found)
    classes, labels = class_table(table["landmark_id"], source)
    return Records(
        "kaggle",
        FolderReader(str(folder)),
        _photos(table["id"], paths.take(place)),
        labels,
        classes,
        pa.concat_tables([unusable, *rejected]),
    )


def _read_folders(source: Path) -> Records:
    paths, rejected = _listed(source)
    inside = pc.match_substring(paths, "/").to_numpy()
    photo = is_photo(paths).to_numpy()
    names = stems(paths)
    rejected.append(_files("not in a class folder", names, paths, ~inside & photo))
    rejected.append(_files("not a photo", names, paths, inside & ~photo, "by its suffix"))
    paths, names = (column.filter(mask(inside & photo)) for column in (paths, names))
    classes, labels = class_table(pc.replace_substring_regex(paths, "/.*$", ""), source)
    return Records(
        "folders",
        FolderReader(str(source)),
        _photos(names, paths),
        labels,
        classes,
        pa.concat_tables(rejected),
    )


def _one_label_each(table: pa.Table) -> tuple[pa.Table, pa.Table]:
    """Rows of ``train.csv`` with one usable label per id, and a rejected table of the others.

    An id that is repeated with the same label counts once. Where the labels differ, none can be
    trusted and the id is left out.
    """
    empty = pc.or_(pc.equal(table["id"], ""), pc.equal(table["landmark_id"], ""))
    nameless = table.filter(empty)
    table = table.filter(pc.invert(empty))
    first = _first_rows(table["id"])
    again = first != np.arange(len(first))
    same = pc.equal(table["landmark_id"], table["landmark_id"].take(pa.array(first))).to_numpy()
    conflicting = np.isin(first, first[~same])
    torn = table.filter(mask(conflicting))
    repeated = table.filter(mask(again & ~conflicting))
    problems = [
        ("no id or landmark_id in train.csv", nameless),
        ("repeated in train.csv", repeated),
        ("conflicting labels in train.csv", torn),
    ]
    rejected = [
        rejects(reason, key=rows["id"], landmark_id=rows["landmark_id"])
        for reason, rows in problems
    ]
    return table.filter(mask(~again & ~conflicting)), pa.concat_tables(rejected)


def _first_rows(values: pa.ChunkedArray) -> np.ndarray:
    """For every row, the first row with an equal value. Shape (rows,), int64."""
    if not len(values):
        return np.empty(0, np.int64)
    codes = one_array(values).dictionary_encode().indices.to_numpy()
    first = np.full(codes.max() + 1, len(codes))
    np.minimum.at(first, codes, np.arange(len(codes)))
    return first[codes]


def _listed(folder: Path) -> tuple[pa.ChunkedArray, list[pa.Table]]:
    paths, unreadable = list_files(folder)
    return paths, [rejects("file name is not UTF-8", path=pa.array(unreadable, pa.string()))]


def _files(
    reason: str, ids: pa.ChunkedArray, paths: pa.ChunkedArray, which: np.ndarray, detail: str = ""
) -> pa.Table:
    """Rejected rows for the files where ``which`` is true."""
    those = mask(which)
    details = pa.array([detail] * int(which.sum()), pa.string())
    return rejects(reason, key=ids.filter(those), path=paths.filter(those), detail=details)


def _photos(ids: pa.ChunkedArray, paths: pa.ChunkedArray) -> pa.Table:
    return pa.table([make_keys(ids, paths), paths], schema=PHOTOS_SCHEMA)
