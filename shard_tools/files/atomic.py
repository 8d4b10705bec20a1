"""Files that appear whole or not at all, on disk and in object stores."""

from __future__ import annotations

import fcntl
import hashlib
import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from pathlib import Path
from typing import BinaryIO

from shard_tools.files.remote import is_remote, open_to_put


@contextmanager
def atomic_open(path: Path) -> Iterator[BinaryIO]:
    """Open ``path`` for writing: it appears whole when the block ends, or not at all.

    In an object store too: then the block writes a file of this machine, which is sent afterwards.
    """
    if is_remote(path):
        with open_to_put(path) as file:
            yield file
        return
    start = f".{path.name[:80]}."
    try:
        number, name = tempfile.mkstemp(prefix=start, suffix=".tmp", dir=path.parent)
    except OSError as error:
        error.filename = str(path)  # what was asked for, not a name of ours
        raise
    temporary = Path(name)
    try:
        with open(number, "wb") as file:
            os.fchmod(number, 0o666 & ~umask())  # mkstemp's files are their owner's alone
            yield file
            file.flush()
            os.fsync(file.fileno())
        try:
            temporary.replace(path)
        except OSError as error:
            error.filename, error.filename2 = str(path), None
            raise
    except BaseException:
        temporary.unlink(missing_ok=True)
        raise


def write_text(path: Path, text: str) -> None:
    """Write a text file under a temporary name, then rename it into place."""
    with atomic_open(path) as file:
        file.write(text.encode())


def sha256_file(path: Path) -> str:
    """Hex sha256 of a file."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


@cache
def umask() -> int:
    """The permissions that new files of this process do not get."""
    value = os.umask(0)
    os.umask(value)
    return value


@contextmanager
def locked_folder(folder: Path) -> Iterator[bool]:
    """Lock a folder of this machine while the block runs.

    The folder itself is locked, not a file in it, which one process could remove while another
    waits for it.

    Yields:
        Whether it is locked now; False where another process has locked it, or removed it.
    """
    number = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        try:
            fcntl.flock(number, fcntl.LOCK_EX | fcntl.LOCK_NB)
            same = folder.exists() and os.path.samestat(os.fstat(number), folder.stat())
        except BlockingIOError:
            same = False
        yield same
    finally:
        os.close(number)
