"""Reading whole files of strangers: no pipe is waited for, no endless device is read."""

from __future__ import annotations

import errno
import os
import stat
from io import FileIO
from pathlib import Path

from shard_tools.files.remote import is_remote


def open_regular(path: str | Path) -> FileIO:
    """Open a file for reading. A pipe or a terminal is not waited for.

    Raises:
        OSError: it cannot be opened, or is neither a regular file nor a folder (``EINVAL``).
    """
    try:
        number = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK | os.O_NOCTTY)
    except ValueError:
        raise OSError(errno.EINVAL, "a NUL in its path", path) from None
    mode = os.fstat(number).st_mode
    if stat.S_ISREG(mode):
        return FileIO(number, "rb")
    os.close(number)
    if stat.S_ISDIR(mode):
        raise IsADirectoryError(errno.EISDIR, os.strerror(errno.EISDIR), path)
    raise OSError(errno.EINVAL, "not a regular file", path)


def read_regular(path: Path, most: int) -> bytes:
    """The content of a file, or of an object in an object store.

    Args:
        path: of the file.
        most: larger ones are refused: bytes.

    Raises:
        OSError: it cannot be read, is no regular file, or is larger (``EFBIG``).
    """
    if is_remote(path):
        return path.read_bytes()
    with open_regular(path) as file:
        size = os.fstat(file.fileno()).st_size
        if size > most:
            raise OSError(errno.EFBIG, f"has {size:,} bytes, {most:,} at most were expected", path)
        return file.readall()
