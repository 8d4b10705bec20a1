"""One folder per class, on disk or in a zip; perhaps in folders for train, val and test."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pyarrow as pa

from shard_tools.columns import mask, one_array, pc
from shard_tools.errors import StoreError
from shard_tools.sources.folder import list_folder
from shard_tools.sources.labels import NAME_FILES, NameFile, class_table
from shard_tools.sources.layout import FOLDER, ZIP, Layout, SourceOptions
from shard_tools.sources.records import (
    Listing,
    Records,
    file_names,
    file_rejects,
    is_photo,
    photo_table,
    stems,
)
from shard_tools.sources.split_names import UNKNOWN, are_splits, split_of, splits_of
from shard_tools.sources.zips import ZipReader, read_directory

NAME = "folders"
_SHOWN = 3
"""Folders named in a message, at most."""


def detect(source: Path) -> bool:
    """Whether there are folders. (Nothing more can be said of a zip: ask other layouts first.)"""
    if not source.is_dir():
        return True
    return any(entry.is_dir() and not entry.name.startswith(".") for entry in source.iterdir())


def read(source: Path, options: SourceOptions) -> Records:
    """List the photos of every class folder.

    Folders called train, val and test (or the like) above the class folders are the splits. Which
    of several folders is the class is said by ``options.classes``; by default it is the one that
    holds the photos.

    Raises:
        StoreError: folders that can be understood in several ways, or options that only label files
            have.
    """
    options.forbid(
        source, "one folder per class, which are the labels", "labels", "carry", "columns"
    )
    if options.group_by:
        raise StoreError(f"--group-by {options.group_by}: {source} has no label file with a column")
    if source.is_dir():
        return _classes(source, list_folder(source), NameFile.in_folder(source), options)
    members = read_directory(source)
    hidden = pc.match_substring_regex(members["path"], r"(^|/)(\.|__MACOSX)")
    members = members.filter(pc.invert(hidden))
    top = _only_folder(members["path"])
    names = next((n for n in (NameFile.in_zip(source, members, p) for p in ("", top)) if n), None)
    return _classes(source, Listing(members, ZipReader(str(source))), names, options, top)


def _only_folder(paths: pa.ChunkedArray) -> str:
    """The folder of a zip that holds all class folders, with a slash; "" if there is none.

    Zips are often made of a folder, which is not a class then. Files beside it, such as a readme,
    do not count.
    """
    photos = paths.filter(is_photo(paths))
    top = pc.unique(pc.replace_substring_regex(photos, "(?s)/.*$", "")).to_pylist()
    if len(top) != 1 or not pc.all(pc.match_substring_regex(photos, "(?s)/.*/")).as_py():
        return ""
    return "" if split_of(top[0]) != UNKNOWN else f"{top[0]}/"


def _classes(
    source: Path, listing: Listing, names: NameFile | None, options: SourceOptions, top: str = ""
) -> Records:
    paths = listing.paths
    photo, inside = is_photo(paths).to_numpy(), np.zeros(len(paths), bool)
    below = pc.utf8_slice_codeunits(paths, len(top)) if top else paths
    folders = pc.replace_substring_regex(below, "(?s)/?[^/]*$", "")  # of each file
    odd = pc.match_substring_regex(paths, r"[\x00-\x1f\x7f]").to_numpy()
    splits, levels = _split_level(source, folders.filter(mask(photo & ~odd)))
    given = np.full(len(paths), UNKNOWN, np.int8)
    if levels:
        given = splits_of(pc.replace_substring_regex(folders, "(?s)/.*$", ""))
        folders = pc.replace_substring_regex(folders, "(?s)^[^/]*/?", "")
    inside = pc.not_equal(folders, "").to_numpy()
    rejected = [
        *listing.rejected,
        file_rejects("control character in its path", stems(paths), paths, photo & odd),
        file_rejects("not in a class folder", stems(paths), paths, photo & ~odd & ~inside),
        file_rejects(
            "not a photo",
            stems(paths),
            paths,
            ~photo & inside & ~_is_name_file(paths),
            "by its suffix",
        ),
    ]
    chosen = mask(photo & inside & ~odd)
    labels = class_of_folders(source, folders.filter(chosen), options.classes)
    labels = pc.utf8_normalize(labels, form="NFC")
    classes, numbers = class_table(labels, names)
    kept = listing.files.filter(chosen)
    return Records(
        NAME,
        listing.reader,
        photo_table(stems(kept["path"]), kept),
        numbers,
        classes,
        pa.concat_tables(rejected),
        given=given[chosen.to_numpy(zero_copy_only=False)] if splits else None,
    )


def _split_level(source: Path, folders: pa.ChunkedArray) -> tuple[bool, bool]:
    """Whether the outermost folders are splits that say something, and whether they are splits.

    A lone ``train`` with class folders in it is a level that says nothing: all is to be split.

    Raises:
        StoreError: some of the outermost folders are splits and others are not.
    """
    first = pc.replace_substring_regex(folders, "(?s)/.*$", "")
    names = [name for name in pc.unique(first).to_pylist() if name]
    deep = pc.match_substring(folders, "/").to_numpy()
    as_split = splits_of(first) != UNKNOWN
    if not names or not (as_split & deep).any():
        if names and are_splits(names):
            raise StoreError(
                f"--source {source}: its folders {', '.join(sorted(names))} are splits, but there "
                "are no class folders in them; give a label file or a table with a label column"
            )
        return False, False
    if are_splits(names):
        return len({split_of(name) for name in names}) > 1, True
    others = sorted(name for name in names if split_of(name) == UNKNOWN)
    split = sorted(name for name in names if split_of(name) != UNKNOWN)
    if len({split_of(name) for name in split}) > 1:
        raise StoreError(
            f"--source {source}: {', '.join(split)} look like splits, but {_listed(others)} beside "
            "them do not; move those away, or give a table of paths, labels and splits"
        )
    return False, False


def class_of_folders(source: Path, folders: pa.ChunkedArray, which: str | None) -> pa.ChunkedArray:
    """The class of each photo from the folder that it is in.

    Args:
        source: for messages.
        folders: of each photo, below the splits; not empty. Length N.
        which: ``leaf`` takes the innermost folder, ``top`` the outermost, ``path`` all of them;
            None takes the innermost where that is clear.

    Returns:
        Strings. Length N.

    Raises:
        StoreError: ``which`` is None, and photos are on several levels or folders share a name.
    """
    leaf = pc.replace_substring_regex(folders, "(?s)^.*/", "")
    if which == "top":
        return pc.replace_substring_regex(folders, "(?s)/.*$", "")
    if which == "path":
        return folders
    if which == "leaf" or not pc.any(pc.match_substring(folders, "/"), min_count=0).as_py():
        return leaf
    every = sorted(pc.unique(folders).to_pylist())
    known = set(every)
    parents = sorted(
        {
            "/".join(parts[:depth])
            for parts in (folder.split("/") for folder in every)
            for depth in range(1, len(parts))
        }
        & known
    )
    advice = (
        "give --classes top (the outermost folder), leaf (the innermost) or path (all of them); "
        "glr-shard build --dry-run shows what comes of it"
    )
    if parents:
        counts = level_counts(folders)
        raise StoreError(
            f"--source {source}: photos are on several levels ({counts}): {_listed(parents)} hold "
            f"photos and further folders; {advice}"
        )
    names = pc.value_counts(pc.utf8_normalize(pa.array([f.split("/")[-1] for f in every]), "NFC"))
    shared = names.filter(pc.greater(names.field("counts"), 1)).field("values").to_pylist()
    if shared:
        raise StoreError(
            f"--source {source}: folders below different folders share a name: {_listed(shared)}; "
            f"{advice}"
        )
    return leaf


def level_counts(folders: pa.ChunkedArray) -> str:
    """How many photos are how deep, in words, such as ``12 photos at level 1, 30 at level 2``."""
    depth = pc.count_substring(folders, "/").to_numpy() + 1
    levels, counts = np.unique(depth, return_counts=True)
    pairs = zip(levels.tolist(), counts.tolist(), strict=True)
    return ", ".join(f"{count:,} photos at level {level}" for level, count in pairs)


def _is_name_file(paths: pa.ChunkedArray) -> np.ndarray:
    known = pa.array([name for name, _ in NAME_FILES])
    return pc.is_in(file_names(paths), value_set=one_array(pa.chunked_array([known]))).to_numpy()


def _listed(names: list[str]) -> str:
    more = f" and {len(names) - _SHOWN:,} more" if len(names) > _SHOWN else ""
    return ", ".join(names[:_SHOWN]) + more


LAYOUT = Layout(
    NAME,
    "one folder per class (also below train/, val/ and test/), on disk or in a zip",
    (FOLDER, ZIP),
    detect,
    read,
)
