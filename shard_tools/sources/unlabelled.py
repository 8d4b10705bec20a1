"""Photos without labels: what a folder, zip, tar, store or single file holds, to be recognised."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import pyarrow as pa

from shard_tools.columns import pc
from shard_tools.errors import StoreError
from shard_tools.sources import finished_store
from shard_tools.sources.folder import list_folder
from shard_tools.sources.layout import SourceOptions
from shard_tools.sources.readers import SPAN_SCHEMA, FolderReader, PhotoReader, SpanReader
from shard_tools.sources.records import REJECTED_SCHEMA, is_photo, rejects
from shard_tools.sources.tars import scan_tars
from shard_tools.sources.zips import ZipReader, read_directory

_COMPRESSED = (".tar.gz", ".tgz", ".tar.bz2", ".tbz2", ".tar.xz", ".txz", ".tar.zst", ".7z", ".rar")
_HIDDEN = r"(^|/)(\.|__MACOSX)"


@dataclass(frozen=True)
class Unlabelled:
    """Photos of one place, none of which was opened yet."""

    files: pa.Table
    """Column ``path``, unique; then the columns of the reader."""
    reader: PhotoReader
    """Reads a photo by its path; ``reader.of(files)`` reads those of some rows."""
    root: str
    """What goes before a path, with a slash at its end, to say where the photo is."""
    rejected: pa.Table
    """``REJECTED_SCHEMA``: what cannot be listed or opened, by path relative to the root."""
    others: int = 0
    """Files that by their names are no photos, and were passed over."""
    on_disk: bool = False
    """Whether ``root + path`` are files; else the photos are inside of larger files."""


def list_photos(place: Path) -> Unlabelled:
    """List the photos of a folder and all below it, of a zip, tar or store.

    Raises:
        StoreError: it cannot be read, or is packed in a way that is not understood.
    """
    try:
        if place.is_dir():
            return _store(place) if finished_store.detect(place) else _folder(place)
        return _zip(place) if place.suffix.lower() == ".zip" else _tar(place)
    except OSError as error:
        raise StoreError(f"{place}: cannot be read ({error.strerror or error})") from None


def is_container(path: Path) -> bool:
    """Whether a file holds photos instead of being one, by its name.

    Raises:
        StoreError: it is packed in a way that is not understood.
    """
    if path.name.lower().endswith(_COMPRESSED):
        raise StoreError(f"{path}: is compressed; unpack it and give the folder")
    return path.suffix.lower() in (".zip", ".tar")


def files_of(paths: Sequence[str]) -> Unlabelled:
    """Single files, each taken for a photo whatever its name."""
    files = pa.table([pa.array(paths, pa.string())], names=["path"])
    return Unlabelled(files, FolderReader(""), "", REJECTED_SCHEMA.empty_table(), on_disk=True)


def _folder(place: Path) -> Unlabelled:
    listing = list_folder(place)
    rejected = pa.concat_tables(listing.rejected)
    root = os.path.join(place, "")  # noqa: PTH118 (the slash at the end)
    return _photos(listing.files, listing.reader, root, rejected, on_disk=True)


def _zip(place: Path) -> Unlabelled:
    members = read_directory(place)
    return _photos(members, ZipReader(str(place)), f"{place}/", REJECTED_SCHEMA.empty_table())


def _tar(place: Path) -> Unlabelled:
    files, (problem,) = scan_tars([place], progress=False)
    rejected = REJECTED_SCHEMA.empty_table()
    if problem is not None:
        if not len(files):
            raise StoreError(f"{place}: no tar that can be read ({problem})")
        rejected = rejects(
            "tar is damaged", path=pa.array([place.name]), detail=pa.array([problem])
        )
    root = str(place).removesuffix(place.name)  # the paths begin with the name of the tar
    return _photos(files, SpanReader([str(place)]), root, rejected)


def _store(place: Path) -> Unlabelled:
    records = finished_store.read(place, SourceOptions())
    files = records.photos.select(["path", *SPAN_SCHEMA.names])
    return Unlabelled(files, records.reader, f"{place}/", REJECTED_SCHEMA.empty_table())


def _photos(
    files: pa.Table, reader: PhotoReader, root: str, rejected: pa.Table, on_disk: bool = False
) -> Unlabelled:
    """Those of the files that are photos by their names; hidden ones are not even counted."""
    files = files.filter(pc.invert(pc.match_substring_regex(files["path"], _HIDDEN)))
    photos = files.filter(is_photo(files["path"]))
    # A zip or tar may list a path twice; the last one is what unpacking would leave.
    last = pa.table([photos["path"], pa.array(range(len(photos)))], ["path", "row"])
    rows = last.group_by("path").aggregate([("row", "max")])["row_max"].sort()
    photos = photos.take(rows) if len(rows) < len(photos) else photos
    return Unlabelled(photos, reader, root, rejected, len(files) - len(photos), on_disk)
