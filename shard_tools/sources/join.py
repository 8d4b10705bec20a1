"""Photos and the labels of their ids, put together."""

from __future__ import annotations

import numpy as np
import pyarrow as pa

from shard_tools.columns import mask, one_array, pc
from shard_tools.sources.labels import NameFile, class_table
from shard_tools.sources.records import Listing, Records, file_rejects, photo_table, rejects, stems


def join_labels(
    kind: str,
    listing: Listing,
    table: pa.Table,
    file: str,
    names: NameFile | None,
    partial: bool = False,
) -> Records:
    """Files and the labels of their ids.

    Args:
        kind: name of the layout.
        listing: files called ``<id>.<suffix>``.
        table: columns ``id`` and ``landmark_id``, then those that are carried into the store.
        file: name of the label file.
        names: of the classes.
        partial: ids without a file and files without an id are counted, not rejected.
    """
    table, unusable = one_label_each(table, "id", file)
    rejected = [unusable, *listing.rejected]
    paths, ids = listing.paths, stems(listing.paths)
    first = first_rows(ids)
    again = first != np.arange(len(ids))
    rejected.append(file_rejects("second file of an id", ids, paths, again))
    unlabelled = ~pc.is_in(ids, value_set=one_array(table["id"])).to_numpy()
    known = pc.is_in(ids, value_set=one_array(unusable["key"])).to_numpy()
    strays = unlabelled & ~again & ~known
    place = pc.index_in(table["id"], value_set=one_array(ids))
    found = pc.is_valid(place)
    lost = table.filter(pc.invert(found))
    notes = {}
    if partial:
        notes = {"ids_without_file": len(lost), "files_without_id": int(strays.sum())}
    else:
        rejected.append(file_rejects(f"not in {file}", ids, paths, strays))
        rejected.append(rejects("no file", key=lost["id"], landmark_id=lost["landmark_id"]))
    table, place = table.filter(found), place.filter(found)
    classes, labels = class_table(table["landmark_id"], names)
    photos = photo_table(table["id"], listing.files.take(place))
    return Records(
        kind,
        listing.reader,
        photos,
        labels,
        classes,
        pa.concat_tables(rejected),
        file,
        notes,
        carried=table.drop_columns(["id", "landmark_id"]),
    )


def one_label_each(table: pa.Table, what: str, file: str) -> tuple[pa.Table, pa.Table]:
    """Rows of a label file with one usable label per photo, and a rejected table of the others.

    A photo that is repeated with the same label counts once. Where the labels differ, none can be
    trusted and the photo is left out.

    Args:
        table: columns ``what`` and ``landmark_id``.
        what: the column that names the photo: ``id`` or ``path``.
        file: name of the label file.
    """
    empty = pc.or_(pc.equal(table[what], ""), pc.equal(table["landmark_id"], ""))
    nameless = table.filter(empty)
    table = table.filter(pc.invert(empty))
    first = first_rows(table[what])
    again = first != np.arange(len(first))
    same = pc.equal(table["landmark_id"], table["landmark_id"].take(pa.array(first))).to_numpy()
    conflicting = np.isin(first, first[~same])
    torn = table.filter(mask(conflicting))
    repeated = table.filter(mask(again & ~conflicting))
    problems = [
        (f"no {what} or landmark_id in {file}", nameless),
        (f"repeated in {file}", repeated),
        (f"conflicting labels in {file}", torn),
    ]
    column = "key" if what == "id" else "path"
    rejected = [
        rejects(reason, landmark_id=rows["landmark_id"], **{column: rows[what]})
        for reason, rows in problems
    ]
    return table.filter(mask(~again & ~conflicting)), pa.concat_tables(rejected)


def first_rows(values: pa.ChunkedArray) -> np.ndarray:
    """For every row, the first row with an equal value. Shape (rows,), int64."""
    if not len(values):
        return np.empty(0, np.int64)
    codes = one_array(values).dictionary_encode().indices.to_numpy()
    first = np.full(codes.max() + 1, len(codes))
    np.minimum.at(first, codes, np.arange(len(codes)))
    return first[codes]
