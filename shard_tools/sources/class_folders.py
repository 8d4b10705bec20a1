"""One folder per class, on disk or in a zip."""

from __future__ import annotations

from pathlib import Path

import pyarrow as pa

from shard_tools.columns import mask, pc
from shard_tools.errors import StoreError
from shard_tools.sources.folder import list_folder
from shard_tools.sources.labels import NameFile, class_table
from shard_tools.sources.records import Listing, Records, file_rejects, is_photo, photo_table, stems
from shard_tools.sources.zips import ZipReader, read_directory


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
