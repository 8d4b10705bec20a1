"""Photos and the labels of their ids, put together."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pyarrow as pa

from shard_tools.columns import mask, one_array, pc
from shard_tools.errors import StoreError
from shard_tools.sources.labels import NameFile, class_table
from shard_tools.sources.layout import SourceOptions
from shard_tools.sources.records import (
    Listing,
    Records,
    file_rejects,
    is_photo,
    photo_table,
    rejects,
    stems,
)
from shard_tools.sources.split_names import UNKNOWN, split_of, splits_of


def join_labels(
    kind: str,
    listing: Listing,
    table: pa.Table,
    file: str,
    names: NameFile | None,
    options: SourceOptions,
    partial: bool = False,
) -> Records:
    """Files and the labels of their ids.

    Args:
        kind: name of the layout.
        listing: files called ``<id>.<suffix>``.
        table: columns ``id`` and ``landmark_id``, perhaps ``split``, and ``options.extra``.
        file: name of the label file.
        names: of the classes.
        options: how the source is read.
        partial: ids without a file and files without an id are counted, not rejected.
    """
    table, unusable = one_label_each(table, "id", file)
    rejected = [unusable, *listing.rejected]
    files, aside = _photos_only(listing)
    rejected.append(aside)
    paths, ids = files["path"], stems(files["path"])
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
    photos = photo_table(table["id"], files.take(place))
    records = Records(
        kind, listing.reader, photos, labels, classes, pa.concat_tables(rejected), file, notes
    )
    return with_extra(records, table, options)


def with_extra(records: Records, table: pa.Table, options: SourceOptions) -> Records:
    """Records with what a label file says of their photos beside the label.

    Args:
        records: of the photos.
        table: one row per photo: the columns of ``options.extra``, and perhaps ``split``.
        options: how the source is read.

    Raises:
        StoreError: names of splits that are unknown.
    """
    given = owners = None
    notes = dict(records.notes)
    if "split" in table.column_names and "split" not in options.carry:
        named = dict(options.columns).get("split")
        given = _splits(table["split"], records.label_file or "the table", named)
        said = sorted(name for name in pc.unique(table["split"]).to_pylist() if name)
        known = any(split_of(name) != UNKNOWN for name in said)
        if not known and 2 <= len(said) <= 5:  # more are something else
            notes["not_splits"] = f"the column of splits says {', '.join(map(repr, said))}"
    if options.group_by is not None:
        owners = one_array(pc.fill_null(table[options.group_by].cast(pa.string()), ""))
    carried = table.select(list(options.carry))
    return replace(records, carried=carried, given=given, owners=owners, notes=notes)


def _splits(column: pa.ChunkedArray, file: str, named: str | None) -> np.ndarray | None:
    """The split of every photo; None where the column says nothing of splits.

    Args:
        column: of the label file.
        file: its name, for messages.
        named: the name of the column, if a user gave it.
    """
    given = splits_of(column)
    names = pc.unique(column.cast(pa.string())).to_pylist()
    unknown = sorted(name for name in names if name and split_of(name) == UNKNOWN)
    if named is None and len(unknown) == sum(bool(name) for name in names):
        return None
    if unknown:
        raise StoreError(
            f"{file}: its column {named or 'split'} says {', '.join(map(repr, unknown[:3]))}; name "
            "a column of train, val or test with --columns split=COLUMN"
        )
    return given if len(np.unique(given[given != UNKNOWN])) > 1 else None


def _photos_only(listing: Listing) -> tuple[pa.Table, pa.Table]:
    """The photos of a listing, and a rejected table of other files that are called as they are.

    Photos often have sidecars, ``id.json`` or ``id.txt`` beside ``id.jpg``; the photo is the one
    that counts. A file that is no photo by its suffix is tried all the same where no other has its
    id.
    """
    paths, ids = listing.paths, stems(listing.paths)
    photo = is_photo(paths).to_numpy()
    sidecar = ~photo & pc.is_in(ids, value_set=one_array(ids.filter(mask(photo)))).to_numpy()
    aside = file_rejects("not a photo", ids, paths, sidecar, "by its suffix")
    return listing.files.filter(mask(~sidecar)), aside


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
