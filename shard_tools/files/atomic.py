"""Files that appear whole or not at all, on disk and in object stores."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterator
from contextlib import contextmanager
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
    temporary = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    try:
        with open(temporary, "wb") as file:
            yield file
            file.flush()
            os.fsync(file.fileno())
        temporary.replace(path)
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
