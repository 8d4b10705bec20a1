"""The directory of a zip: millions of members read at once.

Python's zipfile makes an object of every member: 14 s and 1.2 GB for a zip of 1,580,470 photos.
Here the directory becomes columns: 3.5 s and 0.5 GB.
"""

from __future__ import annotations

import re
import struct
from pathlib import Path

import numpy as np
import pyarrow as pa

from shard_tools.columns import pc
from shard_tools.errors import PhotoError, StoreError
from shard_tools.sources.zip_reader import ENCRYPTED, MEMBER_SCHEMA, ZipReader

_ENTRY = b"PK\x01\x02"
_END, _LOCATOR, _END64 = b"PK\x05\x06", b"PK\x06\x07", b"PK\x06\x06"
_END_SIZE, _LOCATOR_SIZE, _END64_SIZE, _ENTRY_SIZE = 22, 20, 56, 46
_LONGEST_COMMENT = 65_535
_FULL32 = 0xFFFFFFFF
_CHUNK = 65_536


def read_directory(file: Path) -> pa.Table:
    """All members that are files: column ``path`` and ``MEMBER_SCHEMA``, in the zip's order.

    Raises:
        StoreError: not a zip, an incomplete one, or one in several parts.
        OSError: it cannot be read.
    """
    try:
        return _members(file)
    except (ValueError, IndexError, OverflowError, MemoryError, struct.error) as error:
        raise StoreError(f"{file}: its directory is damaged ({error}); get the zip again") from None


def _members(file: Path) -> pa.Table:
    data, start = _directory_bytes(file)
    places = _entry_places(data, file)
    if not len(places):
        return pa.schema([("path", pa.string()), *MEMBER_SCHEMA]).empty_table()
    fixed = _Words(data)
    name_size, extra_size = (fixed.at(places + at, "<u2") for at in (28, 30))
    columns = {
        "flags": fixed.at(places + 8, "<u2"),
        "method": fixed.at(places + 10, "<u2"),
        "crc": fixed.at(places + 16, "<u4"),
        "packed": fixed.at(places + 20, "<u4"),
        "size": fixed.at(places + 24, "<u4"),
        "offset": fixed.at(places + 42, "<u4"),
    }
    _widen(columns, fixed, places + _ENTRY_SIZE + name_size, extra_size)
    columns["offset"] += start
    if any((values < 0).any() for values in columns.values()):
        raise ValueError("a size or place below 0")
    if ((columns["flags"] & ENCRYPTED) != 0).all():
        raise StoreError(
            f"{file}: is encrypted; unpack it with its password, and give the folder as --source"
        )
    paths = _names(data, places + _ENTRY_SIZE, name_size)
    table = pa.table(
        [
            paths,
            *(
                pa.array(columns[name], MEMBER_SCHEMA.field(name).type)
                for name in MEMBER_SCHEMA.names
            ),
        ],
        names=["path", *MEMBER_SCHEMA.names],
    )
    return table.filter(pc.invert(pc.ends_with(table["path"], "/")))


def outermost(members: pa.Table, name: str) -> str | None:
    """The folder of a zip that holds a file of some name, with a slash at its end ("" for the top).

    The outermost if several do, None if none does.
    """
    paths = members["path"]
    inside = pc.ends_with(paths, f"/{name}")
    found = paths.filter(pc.or_(inside, pc.equal(paths, name))).to_pylist()
    return min(found, key=lambda path: path.count("/")).removesuffix(name) if found else None


def read_member(file: Path, members: pa.Table, path: str) -> bytes:
    """One member of a zip, by its path.

    Raises:
        StoreError: it is damaged.
    """
    try:
        return ZipReader(str(file)).of(members.filter(pc.equal(members["path"], path))).read(path)
    except PhotoError as error:
        raise StoreError(
            f"{file}: {path} is {error.reason} ({error.detail}); get the zip again"
        ) from None
    except KeyError:
        raise StoreError(f"{file}: no member {path} in it") from None


class _Words:
    """Little-endian integers at any byte of a buffer."""

    def __init__(self, data: bytes) -> None:
        self._data = data

    def at(self, places: np.ndarray, kind: str) -> np.ndarray:
        """Integers of dtype ``kind`` that begin at ``places``. Shape of ``places``, int64."""
        width = np.dtype(kind).itemsize
        view = np.ndarray((len(self._data) - width + 1,), kind, self._data, strides=(1,))
        return view[places].astype(np.int64)


def _directory_bytes(file: Path) -> tuple[bytes, int]:
    """The central directory, and what must be added to the offsets in it."""
    with open(file, "rb") as zipped:
        total = zipped.seek(0, 2)
        tail_at = max(total - _END_SIZE - _LONGEST_COMMENT, 0)
        zipped.seek(tail_at)
        tail = zipped.read()
        at = tail.rfind(_END)
        if at < 0 or len(tail) - at < _END_SIZE:
            raise StoreError(
                f"{file}: no zip, or the end of it is missing ({total:,} bytes are here); "
                "if it was downloaded, resume or repeat the download"
            )
        disk, count, size, offset = struct.unpack_from("<4xH4xHLL", tail, at)
        end = tail_at + at
        zipped.seek(max(end - _LOCATOR_SIZE, 0))
        locator = zipped.read(_LOCATOR_SIZE)
        if locator[:4] == _LOCATOR:
            zipped.seek(min(struct.unpack_from("<Q", locator, 8)[0], total))
            record = zipped.read(_END64_SIZE)
            if record[:4] == _END64:
                count, size, offset = struct.unpack_from("<QQQ", record, 32)
                end -= _LOCATOR_SIZE + _END64_SIZE
        if disk not in (0, 0xFFFF):
            raise StoreError(f"{file}: one part of a zip in several; join them first (zip -s 0)")
        if size > end:
            raise StoreError(
                f"{file}: its directory would be larger than the zip; get the zip again"
            )
        zipped.seek(end - size)
        data = zipped.read(size)
    # Offsets count from the first member, which need not be the first byte of the file.
    if end - size - offset < 0 or (count and data[:4] != _ENTRY):
        raise StoreError(
            f"{file}: its directory is not where the end of the zip says; get it again"
        )
    return data, end - size - offset


def _entry_places(data: bytes, file: Path) -> np.ndarray:
    """Where each entry of the directory begins. Shape (members,), int64."""
    places = np.fromiter((found.start() for found in re.finditer(_ENTRY, data)), np.int64)
    if not data:
        return places
    words = _Words(data + bytes(_ENTRY_SIZE))
    ends = places + _ENTRY_SIZE + sum(words.at(places + at, "<u2") for at in (28, 30, 32))
    if len(places) and (ends[:-1] == places[1:]).all() and ends[-1] == len(data):
        return places
    # A name or an extra field happens to contain the signature: go from entry to entry.
    chain, at = [], 0
    next_of = dict(zip(places.tolist(), ends.tolist(), strict=True))
    while at in next_of:
        chain.append(at)
        at = next_of[at]
    if at != len(data):
        raise StoreError(
            f"{file}: its directory is damaged at byte {at:,} of it; get the zip again"
        )
    return np.array(chain, np.int64)


def _widen(
    columns: dict[str, np.ndarray], words: _Words, extras: np.ndarray, extra_sizes: np.ndarray
) -> None:
    """Replace, in place, values that did not fit 32 bits by those of the zip64 extra fields."""
    wide = {name: columns[name] == _FULL32 for name in ("size", "packed", "offset")}
    rows = np.flatnonzero(np.any(list(wide.values()), axis=0))
    at, ends = extras[rows], (extras + extra_sizes)[rows]
    while len(rows):
        inside = at + 4 <= ends
        rows, at, ends = rows[inside], at[inside], ends[inside]
        kinds, sizes = words.at(at, "<u2"), words.at(at + 2, "<u2")
        here = (kinds == 1) & (at + 4 + sizes <= ends)
        value = at[here] + 4
        for name, flags in wide.items():  # in the order in which the field has them
            needs = flags[rows[here]]
            columns[name][rows[here][needs]] = words.at(value[needs], "<u8")
            value = value + 8 * needs
        rows, at, ends = rows[~here], (at + 4 + sizes)[~here], ends[~here]


def _names(data: bytes, starts: np.ndarray, sizes: np.ndarray) -> pa.ChunkedArray:
    """Names of the members: UTF-8, or code page 437 where they are not UTF-8."""
    raw = np.frombuffer(data, np.uint8)
    chunks: list[pa.Array] = []
    for low in range(0, len(starts), _CHUNK):
        start, size = starts[low : low + _CHUNK], sizes[low : low + _CHUNK]
        ends = np.cumsum(size)
        picked = raw[np.repeat(start - (ends - size), size) + np.arange(int(size.sum()))]
        offsets = np.concatenate([[0], ends]).astype(np.int32)
        buffers = [None, pa.py_buffer(offsets), pa.py_buffer(picked)]
        binary = pa.Array.from_buffers(pa.binary(), len(start), buffers)
        try:
            chunks.append(binary.cast(pa.string()))
        except pa.ArrowInvalid:
            chunks.append(pa.array([_decoded(name) for name in binary.to_pylist()], pa.string()))
    return pa.chunked_array(chunks, pa.string())


def _decoded(name: bytes) -> str:
    try:
        return name.decode()
    except UnicodeDecodeError:
        return name.decode("cp437")
