"""Sources of files and labels: a label file beside the photos, or one folder per class."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pyarrow as pa

from shard_tools.columns import mask, one_array, pc
from shard_tools.errors import StoreError
from shard_tools.sources.folder import FolderReader, is_photo, list_files, stems
from shard_tools.sources.labels import CLEAN, TRAIN, NameFile, class_table, read_labels
from shard_tools.sources.readers import SpanReader
from shard_tools.sources.records import Listing, Records, file_rejects, photo_table, rejects
from shard_tools.sources.tars import scan_tars
from shard_tools.sources.zips import ZipReader, read_directory, read_member

#: Where label files stand beside tars: as fetched, or as in the bucket of GLDv2.
_BESIDE_TARS = ("", "metadata")
_IN_PHOTO_FOLDER = "train"


def kaggle_folder(source: Path, labels: Path | None) -> Records:
    """``train.csv`` and ``train/a/b/c/<id>.jpg``."""
    file = labels or source / TRAIN
    table = read_labels(file)
    folder = source / _IN_PHOTO_FOLDER
    if not folder.is_dir():
        raise StoreError(f"{folder}: missing; photos of {file.name} belong there: a/b/c/<id>.jpg")
    listing = list_folder(folder)
    return _joined("kaggle", listing, table, file.name, NameFile.in_folder(source))


def kaggle_zip(source: Path, labels: Path | None) -> Records:
    """The competition's zip as downloaded: ``train.csv`` and ``train/a/b/c/<id>.jpg`` inside."""
    members = read_directory(source)
    prefix = zip_prefix(members)
    if prefix is None and labels is None:
        raise StoreError(f"--source {source}: no {TRAIN} in the zip; give --labels FILE")
    prefix = prefix or ""
    if labels is None:
        table = read_labels(source / (prefix + TRAIN), read_member(source, members, prefix + TRAIN))
    else:
        table = read_labels(labels)
    listing = Listing(
        members.filter(pc.starts_with(members["path"], f"{prefix}{_IN_PHOTO_FOLDER}/")),
        ZipReader(str(source)),
    )
    if not len(listing.files):
        raise StoreError(
            f"--source {source}: no photos in the zip under {prefix}{_IN_PHOTO_FOLDER}/, "
            f"where those of {TRAIN} belong"
        )
    names = NameFile.in_zip(source, members, prefix)
    return _joined("kaggle", listing, table, labels.name if labels else TRAIN, names)


def zip_prefix(members: pa.Table) -> str | None:
    """The folder in a zip that holds ``train.csv``, with a slash; the outermost if several do."""
    paths = members["path"]
    found = paths.filter(pc.match_substring_regex(paths, rf"(^|/){TRAIN}$")).to_pylist()
    return min(found, key=lambda path: path.count("/")).removesuffix(TRAIN) if found else None


def gldv2_tars(source: Path, labels: Path | None) -> Records:
    """GLDv2 as distributed: ``images_000.tar`` ... and a label file.

    Usually only some of the tars are there, and with ``train_clean.csv`` only some of their photos
    are asked for. So what has no counterpart is counted, not listed as rejected.
    """
    tars = find_tars(source)
    beside = [source / folder for folder in _BESIDE_TARS]
    file = labels or next(
        (path / name for name in (CLEAN, TRAIN) for path in beside if (path / name).is_file()), None
    )
    if file is None:
        raise StoreError(
            f"--source {source}: tars, but neither {CLEAN} nor {TRAIN} beside them; "
            "get it with glr-shard fetch, or give --labels FILE"
        )
    table = read_labels(file)
    files, problems = scan_tars(tars)
    broken = [(tar.name, problem) for tar, problem in zip(tars, problems, strict=True) if problem]
    damaged = rejects(
        "damaged tar",
        path=pa.array([tar for tar, _ in broken], pa.string()),
        detail=pa.array([problem for _, problem in broken], pa.string()),
    )
    reader = SpanReader([str(tar) for tar in tars])
    listing = Listing(files.filter(is_photo(files["path"])), reader, (damaged,))
    names = next((n for n in map(NameFile.in_folder, beside) if n), None)
    return _joined("gldv2", listing, table, file.name, names, partial=True)


def find_tars(source: Path) -> list[Path]:
    """The tars of a GLDv2 folder, in the order of their names."""
    inside = source / _IN_PHOTO_FOLDER
    if inside.is_dir():  # photos in folders there, as in the Kaggle layout, come before stray tars
        return sorted(inside.glob("*.tar"))
    return sorted(source.glob("*.tar"))


def class_folders(source: Path, labels: Path | None) -> Records:
    """One folder per class, on disk or in a zip."""
    if labels is not None:
        raise StoreError(f"--labels {labels}: class folders are their own labels; leave it out")
    if source.is_dir():
        listing, names = list_folder(source), NameFile.in_folder(source)
    else:
        members = read_directory(source)
        paths = members["path"]
        top = pc.unique(pc.replace_substring_regex(paths, "/.*$", "")).to_pylist()
        prefix = f"{top[0]}/" if len(top) == 1 and _nested(paths) else ""
        hidden = pc.match_substring_regex(paths, r"(^|/)(\.|__MACOSX)")
        listing = Listing(members.filter(pc.invert(hidden)), ZipReader(str(source)))
        return _class_folders(listing, prefix, NameFile.in_zip(source, members, prefix))
    return _class_folders(listing, "", names)


def _nested(paths: pa.ChunkedArray) -> bool:
    """Whether all files are two folders deep: then the outer one is no class."""
    return pc.all(pc.match_substring_regex(paths, "/.*/")).as_py()


def _class_folders(listing: Listing, prefix: str, names: NameFile | None) -> Records:
    paths, stem = listing.paths, stems(listing.paths)
    below = pc.utf8_slice_codeunits(paths, len(prefix)) if prefix else paths
    inside = pc.match_substring(below, "/").to_numpy()
    photo = is_photo(paths).to_numpy()
    rejected = [
        *listing.rejected,
        file_rejects("not in a class folder", stem, paths, ~inside & photo),
        file_rejects("not a photo", stem, paths, inside & ~photo, "by its suffix"),
    ]
    chosen = mask(inside & photo)
    folders = pc.replace_substring_regex(below.filter(chosen), "/.*$", "")
    classes, numbers = class_table(folders, names)
    photos = photo_table(stem.filter(chosen), listing.files.filter(chosen))
    return Records("folders", listing.reader, photos, numbers, classes, pa.concat_tables(rejected))


def list_folder(folder: Path) -> Listing:
    """All files under a folder."""
    paths, unreadable = list_files(folder)
    bad = rejects("file name is not UTF-8", path=pa.array(unreadable, pa.string()))
    return Listing(pa.table([paths], names=["path"]), FolderReader(str(folder)), (bad,))


def _joined(
    kind: str,
    listing: Listing,
    table: pa.Table,
    file: str,
    names: NameFile | None,
    partial: bool = False,
) -> Records:
    """Files and the labels of their ids.

    Args:
        kind: one of ``LAYOUTS``.
        listing: files called ``<id>.<suffix>``.
        table: columns ``id`` and ``landmark_id``.
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
        kind, listing.reader, photos, labels, classes, pa.concat_tables(rejected), file, notes
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
