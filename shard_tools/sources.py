"""Where photos are: listing a folder tree once, and reading one photo by its path."""

from __future__ import annotations

import errno
import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar, Protocol

import pyarrow as pa

from shard_tools.arrow import pc

PHOTO_SUFFIXES = (
    *("jpg", "jpeg", "jpe", "jfif", "png", "webp", "avif", "gif"),
    *("bmp", "tif", "tiff", "jp2", "ppm", "pgm", "pnm"),
)
#: Errors of one file. Others, such as an unreachable disk, would hit the next photo as well.
FILE_ERRORS = frozenset(
    {errno.ENOENT, errno.EACCES, errno.EPERM, errno.EISDIR, errno.ELOOP, errno.ENAMETOOLONG}
)
_CHUNK = 65_536


class PhotoReader(Protocol):
    """Reads encoded photos in a worker process; pickled along with each shard's task.

    One that may be used by several threads at a time has an attribute ``concurrent`` that is true.
    """

    def of(self, photos: pa.Table) -> PhotoReader:
        """A reader that can read the photos of a table and carries no more than that takes."""
        ...

    def read(self, path: str) -> bytes:
        """The bytes of one photo.

        Raises:
            OSError: it cannot be read.
            PhotoError: its container, a zip or tar, is damaged where it stands.
        """
        ...


@dataclass(frozen=True)
class FolderReader:
    """Photos as files under a folder."""

    root: str
    concurrent: ClassVar[bool] = True

    def of(self, photos: pa.Table) -> FolderReader:
        """The same: a path is all it takes."""
        return self

    def read(self, path: str) -> bytes:
        """The bytes of the file at ``path``, absolute or relative to the root."""
        with open(os.path.join(self.root, path), "rb") as file:  # noqa: PTH118 (a hot path)
            return file.read()


def list_files(root: Path) -> tuple[pa.ChunkedArray, list[str]]:
    """All files under a folder, by path relative to it, in sorted order; hidden ones left out.

    Directories are read once and no file is touched. Links are followed, but not in circles.

    Returns:
        Paths with ``/`` between the parts, strings; and those that are no UTF-8, made printable.
    """
    chunks: list[pa.Array] = []
    unreadable: list[str] = []
    batch: list[str] = []
    for path in _walk(root, ""):
        if path.isascii() or _is_utf8(path):
            batch.append(path)
        else:
            unreadable.append(path.encode("utf-8", "backslashreplace").decode())
        if len(batch) == _CHUNK:
            chunks.append(pa.array(batch, pa.string()))
            batch = []
    chunks.append(pa.array(batch, pa.string()))
    return pa.chunked_array(chunks), unreadable


def _walk(root: Path, prefix: str) -> Iterator[str]:
    folders: list[str] = []
    with os.scandir(root / prefix) as entries:
        for entry in sorted(entries, key=lambda entry: entry.name):
            if entry.name.startswith((".", "__MACOSX")):
                continue
            if not entry.is_dir():
                yield prefix + entry.name
            elif not entry.is_symlink() or not _is_circle(root, prefix, entry.path):
                folders.append(entry.name)
    for folder in folders:
        yield from _walk(root, f"{prefix}{folder}/")


def _is_circle(root: Path, prefix: str, link: str) -> bool:
    """Whether a link, found in ``root/prefix``, leads to a directory on the way to itself."""
    inside = root / prefix
    way = [inside, *list(inside.parents)[: prefix.count("/")]]
    return any(folder.samefile(link) for folder in way)


def _is_utf8(path: str) -> bool:
    try:
        path.encode()
    except UnicodeEncodeError:  # surrogates stand for bytes that are no UTF-8
        return False
    return True


def stems(paths: pa.ChunkedArray) -> pa.ChunkedArray:
    """File names without folders and without the last suffix."""
    return pc.replace_substring_regex(file_names(paths), r"(.)\.[^.]*$", r"\1")


def file_names(paths: pa.ChunkedArray) -> pa.ChunkedArray:
    """File names without folders."""
    return pc.replace_substring_regex(paths, "^.*/", "")


def is_photo(paths: pa.ChunkedArray) -> pa.ChunkedArray:
    """Which paths have the suffix of a photo. Booleans."""
    pattern = rf"\.({'|'.join(PHOTO_SUFFIXES)})$"
    return pc.match_substring_regex(paths, pattern, ignore_case=True)
