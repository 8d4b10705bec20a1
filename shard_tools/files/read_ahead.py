"""Reading files ahead of their use, and writing them out early: hints to the kernel."""

from __future__ import annotations

import os
from collections import OrderedDict
from collections.abc import Iterable
from contextlib import suppress
from typing import Any

_OPEN_FILES = 64
"""Kept open by one reader: the 500 tars of GLDv2 would exhaust a usual limit of 1024."""


class Handles:
    """A few open files, read by position. A copy in another process opens its own."""

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
        with suppress(OSError):  # only a hint: reading the photo will raise the error again
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
