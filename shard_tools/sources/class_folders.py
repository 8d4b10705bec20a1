"""One folder per class, on disk or in a zip."""

from __future__ import annotations

from pathlib import Path

import pyarrow as pa

from shard_tools.columns import mask, pc
from shard_tools.sources.folder import list_folder
from shard_tools.sources.labels import NameFile, class_table
from shard_tools.sources.layout import FOLDER, ZIP, Layout, SourceOptions
from shard_tools.sources.records import Listing, Records, file_rejects, is_photo, photo_table, stems
from shard_tools.sources.zips import ZipReader, read_directory

NAME = "folders"


def detect(source: Path) -> bool:
    """Whether there are folders. (Nothing more can be said of a zip: ask other layouts first.)"""
    if not source.is_dir():
        return True
    return any(entry.is_dir() and not entry.name.startswith(".") for entry in source.iterdir())


def read(source: Path, options: SourceOptions) -> Records:
    """List the photos of every folder; the name of the folder is the class.

    Raises:
        StoreError: options that only label files have.
    """
    options.forbid(source, "one folder per class, which are the labels", "labels", "carry")
    if source.is_dir():
        return _classes(list_folder(source), "", NameFile.in_folder(source))
    members = read_directory(source)
    paths = members["path"]
    top = pc.unique(pc.replace_substring_regex(paths, "/.*$", "")).to_pylist()
    prefix = f"{top[0]}/" if len(top) == 1 and _nested(paths) else ""
    hidden = pc.match_substring_regex(paths, r"(^|/)(\.|__MACOSX)")
    listing = Listing(members.filter(pc.invert(hidden)), ZipReader(str(source)))
    return _classes(listing, prefix, NameFile.in_zip(source, members, prefix))


def _nested(paths: pa.ChunkedArray) -> bool:
    """Whether all files are two folders deep: then the outer folder is not a class."""
    return pc.all(pc.match_substring_regex(paths, "/.*/")).as_py()


def _classes(listing: Listing, prefix: str, names: NameFile | None) -> Records:
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
    return Records(NAME, listing.reader, photos, numbers, classes, pa.concat_tables(rejected))


LAYOUT = Layout(NAME, "one folder per class, on disk or in a zip", (FOLDER, ZIP), detect, read)
