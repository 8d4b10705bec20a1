"""One folder per class, on disk or in a zip; perhaps in folders for train, val and test."""

from __future__ import annotations

import shlex
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
from shard_tools.sources.split_folders import (
    alike_folders,
    folders_of_splits,
    listed,
    listed_all,
    refuse_hidden_splits,
    without_splits,
)
from shard_tools.sources.split_names import SPLIT_ADVICE, UNKNOWN, split_of
from shard_tools.sources.zip_reader import ZipReader
from shard_tools.sources.zips import read_directory

NAME = "folders"


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
        listing = list_folder(source)
        return _classes(source, listing, NameFile.in_folder(source), options)
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
    photos = paths.filter(mask(is_photo(paths).to_numpy() & ~_is_odd(paths)))
    top = pc.unique(pc.replace_substring_regex(photos, "(?s)/.*$", "")).to_pylist()
    if len(top) != 1 or not pc.all(pc.match_substring_regex(photos, "(?s)/.*/")).as_py():
        return ""
    return "" if split_of(top[0]) != UNKNOWN else f"{top[0]}/"


def _is_odd(paths: pa.ChunkedArray) -> np.ndarray:
    """Whether a path has control characters in it, so that no class can be named by it."""
    return pc.match_substring_regex(paths, r"[\x00-\x1f\x7f]").to_numpy()


def _classes(
    source: Path,
    listing: Listing,
    names: NameFile | None,
    options: SourceOptions,
    top: str = "",
) -> Records:
    """Records of class folders below ``top``, or below the folders that hold the splits."""
    paths = listing.paths
    photo, odd = is_photo(paths).to_numpy(), _is_odd(paths)
    usable = mask(photo & ~odd)
    top = folders_of_splits(paths.filter(usable)) or top
    below = paths
    if top:  # a file beside it is in no class folder
        sliced = pc.utf8_slice_codeunits(paths, len(top))
        below = pc.if_else(pc.starts_with(paths, top), sliced, "")
    folders = pc.replace_substring_regex(below, "(?s)/?[^/]*$", "")  # of each file
    given, inner = without_splits(source, folders, usable, options.classes)
    whole = source if inner is folders and not top else None
    folders = inner
    every = pc.replace_substring_regex(paths, "(?s)/?[^/]*$", "")  # levels count from the source
    inside = pc.not_equal(folders, "").to_numpy() & _deep_enough(
        source, _levels_of(every), usable.to_numpy(zero_copy_only=False), options.classes
    )
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
    alike = [] if given is not None else alike_folders(folders.filter(chosen))
    notes = {"not_splits": f"{listed_all(alike)} hold the same folders"} if alike else {}
    refuse_hidden_splits(source, top, folders.filter(chosen))
    labels = class_of_folders(
        source, folders.filter(chosen), options.classes, whole, every.filter(chosen)
    )
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
        given=None if given is None else given[chosen.to_numpy(zero_copy_only=False)],
        notes=notes,
    )


def class_of_folders(
    source: Path,
    folders: pa.ChunkedArray,
    which: str | None,
    whole: Path | None = None,
    every: pa.ChunkedArray | None = None,
) -> pa.ChunkedArray:
    """The class of each photo from the folder that it is in.

    Args:
        source: for messages.
        folders: of each photo, below the splits; not empty. Length N.
        which: ``leaf`` takes the innermost folder, ``top`` the outermost, ``path`` all of them, a
            number that of a level from 1 on, which all have; None takes the innermost where that
            is clear.
        whole: the folder that all of them are in, where that is the source itself.
        every: the folders with those of the splits, which levels count; None for ``folders``.

    Returns:
        Strings. Length N.

    Raises:
        StoreError: ``which`` is None, and photos are on several levels or folders share a name.
    """
    every = folders if every is None else every
    leaf = pc.replace_substring_regex(folders, "(?s)^.*/", "")
    if which == "top":
        return pc.replace_substring_regex(folders, "(?s)/.*$", "")
    if which == "path":
        return folders
    level = _level(which)
    if level:
        return pc.list_element(pc.split_pattern(every, "/"), level - 1)
    if which == "leaf" or not pc.any(pc.match_substring(folders, "/"), min_count=0).as_py():
        return leaf
    unique = sorted(pc.unique(folders).to_pylist())
    known = set(unique)
    parents = sorted(
        {
            "/".join(parts[:depth])
            for parts in (folder.split("/") for folder in unique)
            for depth in range(1, len(parts))
        }
        & known
    )
    advice = (
        "give --classes top (the outermost folder), leaf (the innermost), path (all of them) or a "
        f"level ({_levels_shown(every)}), with --dry-run to see what comes of it"
    )
    if parents:
        counts = level_counts(folders)
        raise StoreError(
            f"--source {source}: photos are on several levels ({counts}): {listed(parents)} hold "
            f"photos and further folders; {advice}"
        )
    names = pc.value_counts(pc.utf8_normalize(pa.array([f.split("/")[-1] for f in unique]), "NFC"))
    shared = names.filter(pc.greater(names.field("counts"), 1)).field("values").to_pylist()
    if shared:
        alike = alike_folders(folders)
        splits = f"if {listed_all(alike)} are splits, {SPLIT_ADVICE}; else " if alike else ""
        raise StoreError(
            f"--source {source}: folders below different folders share a name: {listed(shared)}; "
            f"{splits}{advice}{_or_one_of(whole, folders)}"
        )
    return leaf


def _or_one_of(whole: Path | None, folders: pa.ChunkedArray) -> str:
    """Advice to read one of the outermost folders alone, as of ``color/cat`` and ``grey/cat``."""
    outer = sorted(pc.unique(pc.replace_substring_regex(folders, "(?s)/.*$", "")).to_pylist())
    if len(outer) < 2 or whole is None or not whole.is_dir():
        return ""
    folder = shlex.quote(str(whole / outer[0]))
    return f"; or give one of its folders alone, such as --source {folder}"


def _level(which: str | None) -> int | None:
    """The level that ``--classes`` names by its number."""
    return int(which) if which is not None and which.isdecimal() else None


def _levels_of(folders: pa.ChunkedArray) -> np.ndarray:
    """How many folders each photo is in. Shape (N,), int; 0 where the folder is empty."""
    deep = pc.count_substring(folders, "/").to_numpy() + 1
    return np.where(pc.equal(folders, "").to_numpy(), 0, deep)


def _deep_enough(
    source: Path, levels: np.ndarray, usable: np.ndarray, which: str | None
) -> np.ndarray:
    """Which photos have the level that ``--classes`` names; all, where it names none.

    Args:
        source: for the message.
        levels: how many folders each file is in. Shape (N,), int.
        usable: which of them are photos. Shape (N,), bool.
        which: as for :func:`class_of_folders`.

    Raises:
        StoreError: no photo has it.
    """
    level, most = _level(which) or 1, int(levels[usable].max(initial=0))
    if level > 1 and most < level:
        has = f"{most} level{'s' * (most != 1)} of folders"
        raise StoreError(f"--classes {which}: {source} has {has}; give 1 to {max(most, 1)}")
    return levels >= level


def _levels_shown(folders: pa.ChunkedArray) -> str:
    """Some folders of each level, such as ``1: 2019, 2021; 2: Rome``."""
    parts = [folder.split("/") for folder in pc.unique(folders).to_pylist()]
    shown = []
    for level in range(max(map(len, parts))):
        names = sorted({part[level] for part in parts if len(part) > level})
        shown.append(f"{level + 1}: {', '.join(names[:2])}{', ...' * (len(names) > 2)}")
    return "; ".join(shown[:9])


def level_counts(folders: pa.ChunkedArray) -> str:
    """How many photos are how deep, in words, such as ``12 photos at level 1, 30 at level 2``."""
    levels, counts = np.unique(_levels_of(folders), return_counts=True)
    pairs = zip(levels.tolist(), counts.tolist(), strict=True)
    return ", ".join(f"{count:,} photos at level {level}" for level, count in pairs)


def _is_name_file(paths: pa.ChunkedArray) -> np.ndarray:
    known = pa.array([name for name, _ in NAME_FILES])
    return pc.is_in(file_names(paths), value_set=one_array(pa.chunked_array([known]))).to_numpy()


LAYOUT = Layout(
    NAME,
    "one folder per class (also below train/, val/ and test/), on disk or in a zip",
    (FOLDER, ZIP),
    detect,
    read,
)
