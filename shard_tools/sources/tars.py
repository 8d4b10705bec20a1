"""Tars of photos: the place of each member, found by reading only the headers."""

from __future__ import annotations

import os
import re
import stat
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
from tqdm import tqdm

from shard_tools.sources.readers import SPAN_SCHEMA
from shard_tools.store.shard import TAR_BLOCK

#: Folder of the photos in the layouts of GLDv2 and of the competition.
IN_PHOTO_FOLDER = "train"
_THREADS = 8
"""Scan that many tars at once: each header is a wait for the disk."""
_REGULAR = frozenset(b"0\0007")
_LONG_NAME, _PAX = ord("L"), ord("x")
_LARGEST_HEADER = 1 << 20


def find_tars(source: Path) -> list[Path]:
    """The tars of a GLDv2 folder, in the order of their names."""
    inside = source / IN_PHOTO_FOLDER
    if inside.is_dir():  # photos in folders there, as in the Kaggle layout, come before stray tars
        return sorted(inside.glob("*.tar"))
    return sorted(source.glob("*.tar"))


@dataclass
class TarMembers:
    """The regular files in one tar."""

    names: list[str] = field(default_factory=list)
    offsets: list[int] = field(default_factory=list)
    """Bytes, of the data."""
    sizes: list[int] = field(default_factory=list)
    """Bytes."""
    problem: str | None = None
    """What is wrong with the tar: it was read up to there."""


def scan_tars(
    tars: Sequence[Path], progress: bool | None = None
) -> tuple[pa.Table, list[str | None]]:
    """All regular files in some tars.

    Args:
        tars: paths; their place in this list is the column ``volume``.
        progress: show a bar; None shows it where stderr is a terminal.

    Returns:
        Columns ``path`` (``<tar>/<member>``) and ``SPAN_SCHEMA``, in the order of the tars; and for
        each tar what is wrong with it, None if nothing is. Members before the damage are listed.
    """
    hidden = None if progress is None else not progress  # None: hidden unless on a terminal
    chunks, problems = [], []
    with ThreadPoolExecutor(_THREADS) as pool:
        done = pool.map(scan_tar, tars)
        for volume, members in enumerate(
            tqdm(done, total=len(tars), desc="scan", unit=" tars", disable=hidden)
        ):
            chunks.append(_table(tars[volume].name, volume, members))
            problems.append(members.problem)
    return pa.concat_tables(chunks), problems


def _table(tar: str, volume: int, members: TarMembers) -> pa.Table:
    columns = [
        pa.array([f"{tar}/{name}" for name in members.names], pa.string()),
        pa.array(np.full(len(members.names), volume, np.int32)),
        pa.array(members.offsets, pa.int64()),
        pa.array(members.sizes, pa.int64()),
    ]
    return pa.table(columns, names=["path", *SPAN_SCHEMA.names])


def scan_tar(tar: Path) -> TarMembers:
    """The regular files in one tar, by its headers; data is skipped, not read."""
    members = TarMembers()
    try:
        file = os.open(tar, os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK | os.O_NOCTTY)
    except OSError as error:
        members.problem = error.strerror or str(error)
        return members
    try:
        state = os.fstat(file)
        if not stat.S_ISREG(state.st_mode):
            raise ValueError("not a regular file")
        _scan(file, state.st_size, members)
    except OSError as error:
        members.problem = error.strerror or str(error)
    except ValueError as error:
        members.problem = str(error)
    finally:
        os.close(file)
    return members


def _scan(file: int, total: int, members: TarMembers) -> None:
    """Go from header to header.

    Raises:
        ValueError: the tar is truncated or damaged; says where.
    """
    advise: Any = getattr(os, "posix_fadvise", None)
    if advise is not None:  # headers are far apart: no read-ahead between them
        advise(file, 0, 0, os.POSIX_FADV_RANDOM)
    at, overrides = 0, dict[str, str]()
    while at < total:
        header = os.pread(file, TAR_BLOCK, at)
        if len(header) < TAR_BLOCK:
            raise ValueError(f"truncated in a header at byte {at:,}")
        if not header[0] and not header.strip(b"\0"):
            return
        kind, size = header[156], _checked_size(header, at)
        start = at + TAR_BLOCK
        if kind in (_LONG_NAME, _PAX) and size <= _LARGEST_HEADER:
            overrides |= _overrides(kind, os.pread(file, size, start))
        else:
            size = _whole_number(overrides["size"], at) if "size" in overrides else size
            name = overrides.get("path") or _name(header)
            if start + size > total:
                raise ValueError(
                    f"truncated in {name}: {total:,} bytes of {start + size:,} or more"
                )
            if kind in _REGULAR:
                members.names.append(name)
                members.offsets.append(start)
                members.sizes.append(size)
            overrides = {}
        at = start + -(-size // TAR_BLOCK) * TAR_BLOCK
    raise ValueError("truncated: it does not end with a block of zeros")


def _checked_size(header: bytes, at: int) -> int:
    """The size in a header, if its check sum is right."""
    try:
        wanted = int(header[148:156].strip(b" \0") or b"0", 8)
        if sum(header) - sum(header[148:156]) + 8 * 32 != wanted:
            raise ValueError
    except ValueError:
        raise ValueError(f"damaged: no tar header at byte {at:,}") from None
    if header[124] == 0x80:  # base 256, for sizes from 8 GiB; 0xFF would be a negative one
        return int.from_bytes(header[125:136], "big")
    digits = header[124:136].strip(b" \0") or b"0"
    return _whole_number(digits.decode("ascii", "replace"), at, 8)


def _whole_number(text: str, at: int, base: int = 10) -> int:
    """A size; never negative, so that a scan goes forward and comes to an end."""
    if not re.fullmatch("[0-7]+" if base == 8 else "[0-9]{1,20}", text):
        raise ValueError(f"damaged: a member of size {text[:24]!r} at byte {at:,}")
    return int(text, base)


def _name(header: bytes) -> str:
    name = header[:100].split(b"\0", 1)[0]
    if header[257:263] == b"ustar\0":
        prefix = header[345:500].split(b"\0", 1)[0]
        name = prefix + b"/" + name if prefix else name
    return name.decode("utf-8", "backslashreplace").removeprefix("./")


def _overrides(kind: int, data: bytes) -> dict[str, str]:
    """``path`` and ``size`` from a header that belongs to the next one."""
    if kind == _LONG_NAME:
        return {"path": data.rstrip(b"\0").decode("utf-8", "backslashreplace").removeprefix("./")}
    found = {}
    while data:
        length = data.split(b" ", 1)[0]
        if not length.isdigit() or int(length) <= len(length):
            break
        entry, data = data[len(length) + 1 : int(length) - 1], data[int(length) :]
        name, _, value = entry.partition(b"=")
        if name in (b"path", b"size"):
            found[name.decode()] = value.decode("utf-8", "backslashreplace").removeprefix("./")
    return found
