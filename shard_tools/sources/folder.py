"""Where photos are: listing a folder tree once, and reading one photo by its path."""

from __future__ import annotations

import errno
import os
from collections import deque
from collections.abc import Callable, Generator, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from functools import partial
from io import FileIO
from pathlib import Path
from typing import Protocol

import pyarrow as pa

from shard_tools.columns import pc

PHOTO_SUFFIXES = (
    *("jpg", "jpeg", "jpe", "jfif", "png", "webp", "avif", "gif"),
    *("bmp", "tif", "tiff", "jp2", "ppm", "pgm", "pnm"),
)
#: Errors of one file. Others, such as an unreachable disk, would hit the next photo as well.
FILE_ERRORS = frozenset(
    {errno.ENOENT, errno.EACCES, errno.EPERM, errno.EISDIR, errno.ELOOP, errno.ENAMETOOLONG}
)
_CHUNK = 65_536
_AHEAD = 32
"""Files opened ahead, so that the disk can fetch them in its own order."""


class PhotoReader(Protocol):
    """Reads encoded photos in a worker process; pickled along with each shard's task."""

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

    def of(self, photos: pa.Table) -> FolderReader:
        """The same: a path is all it takes."""
        return self

    def read(self, path: str) -> bytes:
        """The bytes of the file at ``path``, absolute or relative to the root."""
        return _content(self._file(path))

    def ahead(self, paths: Sequence[str]) -> Generator[Callable[[], bytes], None, None]:
        """As :func:`reads`: the kernel fetches the files to come while one is worked on.

        Threads that read would do the same, but handing a photo over costs 20 to 50 us, where
        packing one that is not decoded costs 110.
        """
        coming = deque(self._opened(path) for path in paths[:_AHEAD])
        try:
            for place, path in enumerate(paths):
                file = coming.popleft()
                yield partial(self.read, path) if file is None else partial(_content, file)
                if place + _AHEAD < len(paths):
                    coming.append(self._opened(paths[place + _AHEAD]))
        finally:
            for file in coming:
                if file is not None:
                    file.close()

    def _opened(self, path: str) -> FileIO | None:
        """A file that the kernel has been asked to fetch; None where it cannot be opened (now)."""
        try:
            file = self._file(path)
        except OSError:  # said when its turn has come
            return None
        will_need(file.fileno(), 0, 0)
        return file

    def _file(self, path: str) -> FileIO:
        return open(os.path.join(self.root, path), "rb", buffering=0)  # noqa: PTH118 (hot)


def will_need(file: int, offset: int, size: int) -> None:
    """Let the kernel fetch a span of an open file; ``size`` 0 means to its end. Only a hint."""
    with suppress(AttributeError, OSError):  # not everywhere, not for every file
        os.posix_fadvise(file, offset, size, os.POSIX_FADV_WILLNEED)


def write_out(file: int, offset: int, size: int) -> None:
    """Let the disk begin to write a span of an open file. Only a hint.

    Linux begins to write the dirty pages of the span, and drops from memory only what is clean.
    """
    with suppress(AttributeError, OSError):
        os.posix_fadvise(file, offset, size, os.POSIX_FADV_DONTNEED)


def _content(file: FileIO) -> bytes:
    with file:
        return file.readall()


def reads(reader: PhotoReader, paths: Sequence[str]) -> Generator[Callable[[], bytes], None, None]:
    """For each path, a function that gives its photo, fetched ahead where the reader knows how.

    Read one after the other, every small file would cost a wait for the disk.
    """
    ahead = getattr(reader, "ahead", None)
    if ahead is None:
        return (partial(reader.read, path) for path in paths)
    return ahead(paths)


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
