"""Photos as members of a zip, read in place."""

from __future__ import annotations

import struct
import zlib

import pyarrow as pa

from shard_tools.errors import PhotoError
from shard_tools.files.read_ahead import Handles
from shard_tools.sources.readers import check_bytes, stamps_of

#: What the directory says of each member; a zip adds these columns to the photo table.
MEMBER_SCHEMA = pa.schema(
    [
        ("offset", pa.int64()),  # of the local header
        ("packed", pa.int64()),  # bytes in the zip
        ("size", pa.int64()),  # bytes when unpacked
        ("crc", pa.int64()),
        ("method", pa.int32()),  # 0 stored, 8 deflated
        ("flags", pa.int32()),
    ]
)
ENCRYPTED = 1
"""Bit of ``flags``."""
_STORED, _DEFLATED, _LOCAL_SIZE = 0, 8, 30
_EXTRA_GUESS = 64
"""Bytes between a member's name and its data, at most in common zips."""


class ZipReader:
    """Photos as members of a zip, each read with one request and checked by its CRC-32."""

    def __init__(self, file: str, members: dict[str, tuple[int, ...]] | None = None) -> None:
        """A reader of all members (``members`` None; give workers ``of`` it) or of some.

        Args:
            file: path of the zip.
            members: path of each member -> its ``MEMBER_SCHEMA``.
        """
        self._file, self._members, self._files = file, members or {}, Handles()
        self._hinted = False

    def of(self, photos: pa.Table) -> ZipReader:
        """A reader of the photos of a table with the columns ``path`` and ``MEMBER_SCHEMA``."""
        paths, *members = (photos[name].to_pylist() for name in ("path", *MEMBER_SCHEMA.names))
        return ZipReader(self._file, dict(zip(paths, zip(*members, strict=True), strict=True)))

    def stamps(self, photos: pa.Table) -> bytes:
        """Size and time of the zip."""
        return stamps_of([self._file])

    def read(self, path: str) -> bytes:
        """The bytes of one member.

        Raises:
            OSError: the zip cannot be read.
            PhotoError: the member is damaged, encrypted or packed in an unknown way.
        """
        if not self._hinted:
            self._hinted = True
            spans = ((self._file, m[0], m[1] + _LOCAL_SIZE) for m in self._members.values())
            self._files.will_read(spans)
        offset, packed, size, crc, method, flags = self._members[path]
        if flags & ENCRYPTED:
            raise PhotoError("cannot be read", "encrypted member of a zip")
        if method not in (_STORED, _DEFLATED):
            raise PhotoError("cannot be read", f"packed in the zip by method {method}; known: 0, 8")
        check_bytes(size)
        check_bytes(packed)
        data = self._packed(path, offset, packed)
        if method == _DEFLATED:
            data = _inflate(data, size)
        if len(data) != size or zlib.crc32(data) != crc:
            raise PhotoError("damaged", "its CRC-32 is not the one in the zip")
        return data

    def _packed(self, path: str, offset: int, packed: int) -> bytes:
        guess = _LOCAL_SIZE + len(path.encode()) + _EXTRA_GUESS + packed
        block = self._files.read(self._file, offset, guess)
        if len(block) < _LOCAL_SIZE or block[:4] != b"PK\x03\x04":
            raise PhotoError("damaged", f"no member begins at byte {offset:,} of the zip")
        name, extra = struct.unpack_from("<HH", block, 26)
        start = _LOCAL_SIZE + name + extra
        if start + packed > len(block):
            return self._files.read(self._file, offset + start, packed)
        return block[start : start + packed]


def _inflate(data: bytes, size: int) -> bytes:
    try:
        return zlib.decompressobj(-15).decompress(data, size + 1)
    except zlib.error as error:
        raise PhotoError("damaged", f"its packed bytes in the zip: {error}") from None
