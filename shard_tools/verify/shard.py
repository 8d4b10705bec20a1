"""Checks one shard of a store against itself: tar, index, its rows of the samples table, photos."""

from __future__ import annotations

import hashlib
import mmap
import tarfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import zip_longest
from pathlib import Path

import pyarrow as pa

from shard_tools.errors import PhotoError
from shard_tools.files.remote import is_remote
from shard_tools.photos.jpeg_header import read_header
from shard_tools.photos.prepare import PhotoOptions, prepare
from shard_tools.store.layout import LABEL, PHOTO
from shard_tools.store.manifest import ShardInfo
from shard_tools.store.problems import Findings, Problem
from shard_tools.store.shard import (
    TAR_BLOCK,
    TAR_END,
    IndexEntry,
    class_member,
    dali_index,
    photo_digest,
)

#: Columns of the samples table that a shard is checked against.
COLUMNS = ["key", "label", "offset", "size", "width", "height", "xxh128"]


@dataclass(frozen=True)
class ShardTask:
    """One shard to check. Pickled to a worker."""

    folder: Path
    """The store."""
    info: ShardInfo
    """What the manifest says of it."""
    rows: pa.Table | None
    """Its rows of the samples table (``COLUMNS``), in their order; None where the table is gone."""
    digits: int
    """Width of the ``.cls`` members."""
    decode: bool
    """Whether every photo is decoded."""
    max_pixels: int
    """Larger photos are refused, as they were by the build."""


class _TarError(Exception):
    """The tar cannot be read on; the message says what was found where."""


def check_shard(task: ShardTask, advance: Callable[[int], object]) -> list[Problem]:
    """Everything that is wrong with a shard and its index.

    Args:
        task: the shard.
        advance: called with the number of photos that were checked since the last call.
    """
    found = Findings(task.info.name)
    path = task.folder / task.info.name
    entries: list[IndexEntry] | None = None
    if not path.is_file():
        found.add("files", "missing; the manifest lists it")
    else:
        with _mapped(path) as tar:
            entries, whole = _check_tar(task, tar, found)
            if task.rows is not None:
                _check_rows(task, tar, entries, whole, found)
            if task.decode:
                _decode(task, tar, entries, found, advance)
            entries = entries if whole else None
    index = Findings(task.info.index_name)
    _check_index(task, entries, index)
    if not task.decode:
        advance(task.info.samples)
    return [*found, *index]


@contextmanager
def _mapped(path: Path) -> Iterator[memoryview]:
    """The bytes of a tar: mapped, or of one in an object store, read."""
    if is_remote(path):
        yield memoryview(path.read_bytes())
        return
    with open(path, "rb") as file:
        if not path.stat().st_size:
            yield memoryview(b"")
            return
        with mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as mapped:
            mapped.madvise(mmap.MADV_SEQUENTIAL)
            with memoryview(mapped) as view:
                yield view


def _check_tar(task: ShardTask, tar: memoryview, found: Findings) -> tuple[list[IndexEntry], bool]:
    """The photos of the tar as far as it can be read, and whether that was to its end."""
    info = task.info
    if len(tar) != info.bytes:
        found.add("files", f"has {len(tar):,} bytes, the manifest says {info.bytes:,}")
    if hashlib.sha256(tar).hexdigest() != info.sha256:
        found.add("sha256", "the tar is not the one that was built: its sha256 differs")
    entries: list[IndexEntry] = []
    try:
        for entry in _photos(tar):
            entries.append(entry)
    except _TarError as error:
        found.add("tar", str(error))
        return entries, False
    if len(entries) != info.samples:
        found.add("tar", f"holds {len(entries):,} photos, the manifest says {info.samples:,}")
    return entries, True


def _photos(tar: memoryview) -> Iterator[IndexEntry]:
    """The photos of a tar, each a photo and a label member."""
    members = _members(tar)
    for name, offset, size in members:
        key, dot, suffix = name.partition(".")
        if not key or dot + suffix != f".{PHOTO}":
            raise _TarError(f"member {name!r} is where the .{PHOTO} of a photo should be")
        second = next(members, ("the end", 0, 0))
        if second[0] != f"{key}.{LABEL}":
            raise _TarError(f"after {name} comes {second[0]}, not {key}.{LABEL}")
        yield IndexEntry(key, offset, size, second[1], second[2])


def _members(tar: memoryview) -> Iterator[tuple[str, int, int]]:
    """Name, offset of the data and size of every member, in order."""
    at = 0
    while at + TAR_BLOCK <= len(tar):
        block = bytes(tar[at : at + TAR_BLOCK])
        if not any(block):
            if bytes(tar[at : at + len(TAR_END) + 1]) != TAR_END:
                raise _TarError(f"the end, at byte {at:,}, is not 1,024 zero bytes and no more")
            return
        try:
            info = tarfile.TarInfo.frombuf(block, "utf-8", "strict")
        except (tarfile.HeaderError, UnicodeDecodeError) as error:
            raise _TarError(f"no tar header at byte {at:,} ({error})") from None
        start = at + TAR_BLOCK
        at = start + -(-info.size // TAR_BLOCK) * TAR_BLOCK
        if not info.isreg() or at > len(tar):
            what = "goes past the end of the file" if info.isreg() else "is not a file"
            raise _TarError(f"member {info.name!r} at byte {start:,} {what}")
        if any(tar[start + info.size : at]):
            raise _TarError(f"the padding after {info.name}, before byte {at:,}, is not zero")
        yield info.name, start, info.size
    raise _TarError(f"ends at byte {len(tar):,} without the zero blocks that end a tar")


def _check_rows(
    task: ShardTask, tar: memoryview, entries: list[IndexEntry], whole: bool, found: Findings
) -> None:
    """The tar against the samples table, row by row."""
    assert task.rows is not None
    rows = task.rows.to_pylist()
    if whole and len(rows) != len(entries):
        what = f"has {len(rows):,} rows of this tar, which holds {len(entries):,} photos"
        found.add("samples", f"samples.parquet {what}")
    wrong: dict[str, list[str]] = {}
    for entry, row in zip(entries, rows, strict=False):
        for column, here, there in _differences(task, tar, entry, row):
            wrong.setdefault(column, []).append(f"{entry.key} has {here}, the table says {there}")
    for column, items in wrong.items():
        check = "photo" if column == "xxh128" else "samples"
        found.add_all(check, f"{column} differs from samples.parquet", items)


def _differences(
    task: ShardTask, tar: memoryview, entry: IndexEntry, row: dict
) -> Iterator[tuple[str, object, object]]:
    """Column, what the tar has and what the table says, where they differ."""
    photo = tar[entry.offset : entry.offset + entry.size]
    for column in ("key", "offset", "size"):
        here, there = getattr(entry, column), row[column]
        if here != there:
            yield column, here, there
    digits = bytes(tar[entry.class_offset : entry.class_offset + entry.class_size])
    if digits != class_member(row["label"], task.digits):
        yield "label (.cls)", digits, class_member(row["label"], task.digits)
    digest = photo_digest(photo)
    if digest != row["xxh128"]:
        yield "xxh128", f"{digest.hex()[:12]}...", f"{row['xxh128'].hex()[:12]}..."
    header = read_header(bytes(photo))
    size = (header.width, header.height) if header else None
    if size != (row["width"], row["height"]):
        here = f"{size[0]}x{size[1]}" if size else "no JPEG header"
        yield "width or height", here, f"{row['width']}x{row['height']}"


def _decode(
    task: ShardTask,
    tar: memoryview,
    entries: list[IndexEntry],
    found: Findings,
    advance: Callable[[int], object],
) -> None:
    """Every photo as the build checked it: a strict decoder reads all of it, nothing to mend."""
    bad: dict[str, list[str]] = {}
    options = PhotoOptions(max_pixels=task.max_pixels)
    for entry in entries:
        data = bytes(tar[entry.offset : entry.offset + entry.size])
        try:
            same = prepare(data, options).data == data
        except PhotoError as error:
            detail = f" ({error.detail})" if error.detail else ""
            bad.setdefault(error.reason, []).append(f"{entry.key}{detail}")
        else:
            if not same:
                what = "not an upright baseline RGB JPEG without filler"
                bad.setdefault(what, []).append(entry.key)
        advance(1)
    for reason, items in bad.items():
        found.add_all("decode", reason, items)


def _check_index(task: ShardTask, entries: list[IndexEntry] | None, found: Findings) -> None:
    """The DALI index against the manifest and, where the tar could be read, against the tar."""
    path = task.folder / task.info.index_name
    if not path.is_file():
        found.add("files", "missing; it belongs to a tar that the manifest lists")
        return
    data = path.read_bytes()
    if hashlib.sha256(data).hexdigest() != task.info.index_sha256:
        found.add("sha256", "the index is not the one that was built: its sha256 differs")
    if entries is None:
        return
    wanted = dali_index(entries)
    text = data.decode("utf-8", "backslashreplace")
    if text == wanted:
        return
    lines = zip_longest(text.splitlines(), wanted.splitlines(), fillvalue="nothing")
    wrong = [
        f"line {number} is {here!r}, the tar says {there!r}"
        for number, (here, there) in enumerate(lines, 1)
        if here != there
    ]
    found.add_all("idx", "differs from the tar", wrong or ["other line ends"])
