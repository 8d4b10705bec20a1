"""Photos inside large files, read in place: what tars, zips and stores have in common."""

from __future__ import annotations

import errno
import os
from array import array
from collections import deque
from collections.abc import Callable, Generator, Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial
from io import FileIO
from typing import Protocol

import pyarrow as pa

from shard_tools.errors import PhotoError
from shard_tools.files.read_ahead import Handles, will_need
from shard_tools.files.regular import open_regular

#: The place of a photo in its container; tars and stores add these columns to the photo table.
SPAN_SCHEMA = pa.schema([("volume", pa.int32()), ("offset", pa.int64()), ("size", pa.int64())])


class SpanReader:
    """Photos as spans of a few large files: the members of tars."""

    def __init__(
        self, volumes: Sequence[str], spans: dict[str, tuple[int, int, int]] | None = None
    ) -> None:
        """A reader of all photos (``spans`` None; give workers ``of`` it) or of some.

        Args:
            volumes: paths of the large files.
            spans: path of each photo -> (place in ``volumes``, offset, size in bytes).
        """
        self._volumes, self._spans, self._files = tuple(volumes), spans or {}, Handles()
        self._hinted = False

    def of(self, photos: pa.Table) -> SpanReader:
        """A reader of the photos of a table with the columns ``path`` and ``SPAN_SCHEMA``."""
        paths, *spans = (photos[name].to_pylist() for name in ("path", *SPAN_SCHEMA.names))
        return SpanReader(self._volumes, dict(zip(paths, zip(*spans, strict=True), strict=True)))

    def stamps(self, photos: pa.Table) -> bytes:
        """Size and time of all volumes."""
        return stamps_of(self._volumes)

    def read(self, path: str) -> bytes:
        """The bytes of one photo.

        Raises:
            OSError: its volume cannot be read.
            PhotoError: its volume ends before it does.
        """
        if not self._hinted:
            self._hinted = True
            spans = self._spans.values()
            self._files.will_read((self._volumes[v], offset, size) for v, offset, size in spans)
        volume, offset, size = self._spans[path]
        check_bytes(size)
        data = self._files.read(self._volumes[volume], offset, size)
        if len(data) < size:
            raise PhotoError(
                "truncated", f"{self._volumes[volume]} ends {size - len(data)} bytes early"
            )
        return data


#: Errors of one file. Others, such as an unreachable disk, would hit the next photo as well.
FILE_ERRORS = frozenset(
    {
        *(errno.ENOENT, errno.EACCES, errno.EPERM, errno.EISDIR, errno.ELOOP),
        *(errno.ENAMETOOLONG, errno.ENOTDIR, errno.ENXIO, errno.ENODEV, errno.EINVAL),
    }
)

LARGEST_FILE = 1 << 30
"""Bytes. No photo file is larger; a sparse file of some terabytes would be."""

_AHEAD = 32
"""Files opened ahead, so that the disk can fetch them in its own order."""
_STAMPED = 512
"""Files whose sizes and times one thread asks for."""


class PhotoReader(Protocol):
    """Reads encoded photos in a worker process; pickled along with each shard's task."""

    def of(self, photos: pa.Table) -> PhotoReader:
        """A reader that can read the photos of a table and carries no more than that takes."""
        ...

    def read(self, path: str) -> bytes:
        """The bytes of one photo.

        Raises:
            OSError: it cannot be read.
            PhotoError: its container, a zip or tar, is damaged at its place.
        """
        ...


@dataclass(frozen=True)
class FolderReader:
    """Photos as files under a folder."""

    root: str

    def of(self, photos: pa.Table) -> FolderReader:
        """The same: a path is all it takes."""
        return self

    def stamps(self, photos: pa.Table) -> bytes:
        """Size and time of every photo. Asked many at a time: over a network each is a wait."""
        paths = [os.path.join(self.root, path) for path in photos["path"].to_pylist()]  # noqa: PTH118
        parts = [paths[start : start + _STAMPED] for start in range(0, len(paths), _STAMPED)]
        with ThreadPoolExecutor(_AHEAD) as pool:
            return b"".join(pool.map(stamps_of, parts))

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
        except (OSError, PhotoError):  # said when its turn has come
            return None
        will_need(file.fileno(), 0, 0)
        return file

    def _file(self, path: str) -> FileIO:
        return open_photo(os.path.join(self.root, path))  # noqa: PTH118 (hot)


def open_photo(path: str) -> FileIO:
    """Open a photo's file for reading. A pipe or a terminal is not waited for.

    Raises:
        OSError: it cannot be opened.
        PhotoError: it is no regular file, or too large for a photo.
    """
    try:
        file = open_regular(path)
    except OSError as error:
        if error.errno != errno.EINVAL:
            raise
        raise PhotoError("cannot be read", str(error.strerror)) from None
    try:
        check_bytes(os.fstat(file.fileno()).st_size)
    except PhotoError:
        file.close()
        raise
    return file


def check_bytes(size: int) -> None:
    """Refuse what no photo can be.

    Raises:
        PhotoError: more bytes than ``LARGEST_FILE``, or fewer than none.
    """
    if size > LARGEST_FILE:
        raise PhotoError("too large", f"{size:,} bytes")
    if size < 0:
        raise PhotoError("damaged", f"{size:,} bytes")


def _content(file: FileIO) -> bytes:
    with file:
        return file.readall()


def stamped(reader: PhotoReader, photos: pa.Table) -> bytes:
    """Sizes and times of the files that hold some photos: other bytes where one was changed.

    Nothing is read. A reader that knows no files gives none.
    """
    stamps = getattr(reader, "stamps", None)
    return stamps(photos) if stamps is not None else b""


def stamps_of(paths: Iterable[str]) -> bytes:
    """Size and time of last change of some files, 16 bytes each; -1 where there is none."""

    def one(path: str) -> tuple[int, int]:
        try:
            state = os.stat(path)  # noqa: PTH116 (hot)
        except (OSError, ValueError):
            return -1, -1
        return state.st_size, state.st_mtime_ns

    values = array("q")
    for path in paths:
        values.extend(one(path))
    return values.tobytes()


def reads(reader: PhotoReader, paths: Sequence[str]) -> Generator[Callable[[], bytes], None, None]:
    """For each path, a function that gives its photo, fetched ahead where the reader knows how.

    Read one after the other, every small file would cost a wait for the disk.
    """
    ahead = getattr(reader, "ahead", None)
    if ahead is None:
        return (partial(reader.read, path) for path in paths)
    return ahead(paths)
