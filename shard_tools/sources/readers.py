"""Photos inside large files, read in place: what tars, zips and stores have in common."""

from __future__ import annotations

import os
from collections import OrderedDict
from collections.abc import Iterable, Sequence
from contextlib import suppress
from typing import Any

import pyarrow as pa

from shard_tools.photos.prepare import PhotoError
from shard_tools.sources.folder import will_need

#: Where a photo stands in its container; tars and stores add these columns to the photo table.
SPAN_SCHEMA = pa.schema([("volume", pa.int32()), ("offset", pa.int64()), ("size", pa.int64())])
_OPEN_FILES = 64
"""Kept open by one reader: the 500 tars of GLDv2 would exhaust a usual limit of 1024."""


class Handles:
    """A few open files of one process, read by position; copies for other processes open anew."""

    def __init__(self) -> None:
        self._open: OrderedDict[str, int] = OrderedDict()

    def read(self, path: str, offset: int, size: int) -> bytes:
        """``size`` bytes at ``offset``; fewer where the file ends.

        Raises:
            OSError: it cannot be opened or read.
        """
        file = self._file(path)
        data = os.pread(file, size, offset)
        while 0 < len(data) < size:  # Linux reads 2 GiB at most, network disks may give less
            more = os.pread(file, size - len(data), offset + len(data))
            if not more:
                break
            data += more
        return data

    def will_read(self, spans: Iterable[tuple[str, int, int]]) -> None:
        """Let the kernel fetch (path, offset, size) spans ahead, in the order of the disk.

        Photos of a shard are scattered over their containers. Fetched one by one, each would cost
        a wait for the disk.
        """
        with suppress(OSError):  # only a hint; whoever reads the photo meets the error again
            for path, offset, size in sorted(spans):
                will_need(self._file(path), offset, size)

    def close(self) -> None:
        """Close all files."""
        while self._open:
            os.close(self._open.popitem()[1])

    def _file(self, path: str) -> int:
        if path in self._open:
            self._open.move_to_end(path)
            return self._open[path]
        if len(self._open) >= _OPEN_FILES:
            os.close(self._open.popitem(last=False)[1])
        self._open[path] = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
        return self._open[path]

    def __getstate__(self) -> dict[str, Any]:
        return {}

    def __setstate__(self, state: dict[str, Any]) -> None:
        self._open = OrderedDict()

    def __del__(self) -> None:
        self.close()


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
        data = self._files.read(self._volumes[volume], offset, size)
        if len(data) < size:
            raise PhotoError(
                "truncated", f"{self._volumes[volume]} ends {size - len(data)} bytes early"
            )
        return data
