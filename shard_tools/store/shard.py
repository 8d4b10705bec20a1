"""One shard, byte by byte: tar members, digests of photos, lines of a DALI index."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
import pyarrow as pa
import xxhash

from shard_tools.columns import pc
from shard_tools.store.layout import LABEL, PHOTO

TAR_BLOCK = 512

TAR_END = b"\0" * (2 * TAR_BLOCK)

DALI_INDEX_VERSION = "v1.2"


def label_digits(num_classes: int) -> int:
    """Width of the ``.cls`` member: digits of the largest label."""
    return len(str(max(num_classes - 1, 0)))


def class_member(label: int, digits: int) -> bytes:
    """The ``.cls`` member of a photo: its label as fixed-width ASCII digits."""
    return f"{label:0{digits}d}".encode("ascii")


def photo_digest(data: bytes | memoryview) -> bytes:
    """The digest that identifies a photo by its bytes: XXH3, 128 bits, canonical (big-endian) form.

    No cryptographic hash: the sha256 of the tar is there for that, and a second one over every byte
    was the largest part of packing photos that are not decoded.
    """
    return xxhash.xxh3_128_digest(data)


def tar_member(name: str, data: bytes) -> tuple[bytes, bytes]:
    """Header and padding of one tar member: the tar holds ``header + data + padding``.

    Owner, mode and time are constants, so that equal photos give equal tars.
    """
    called = name.encode("ascii")
    if not 0 < len(called) <= _NAME:
        raise ValueError(f"tar member name {name!r}: 1 to {_NAME} characters")
    size = b"%011o\0" % len(data)
    checksum = _TEMPLATE_SUM + sum(called) + sum(size)
    header = b"".join(
        (called.ljust(_NAME, b"\0"), _OWNER, size, _TIME, b"%06o\0 " % checksum, _REST)
    )
    return header, b"\0" * (-len(data) % TAR_BLOCK)


_NAME = 100
"""Bytes of a name in a tar header."""

#: The parts of a POSIX ustar header that are the same for every member: mode, owner and group;
#: time; type, link, magic, version, and nothing.
_OWNER, _TIME = b"0000644\0" + 2 * b"0000000\0", b"00000000000\0"

_REST = (b"0" + bytes(100) + b"ustar\x0000").ljust(356, b"\0")

_TEMPLATE_SUM = sum(_OWNER + _TIME + b" " * 8 + _REST)


@dataclass(frozen=True)
class IndexEntry:
    """The place of one photo in its tar, as one line of a DALI index gives it."""

    key: str
    offset: int
    """Byte offset of the JPEG data in the tar."""
    size: int
    """Bytes of JPEG data."""
    class_offset: int
    """Byte offset of the ``.cls`` data."""
    class_size: int
    """Bytes of the ``.cls`` data."""

    @classmethod
    def of_sample(cls, key: str, offset: int, size: int, class_size: int) -> IndexEntry:
        """The entry of a photo whose ``.cls`` member follows its ``.jpg`` member, as in a store."""
        padded = -(-size // TAR_BLOCK) * TAR_BLOCK
        return cls(key, offset, size, offset + padded + TAR_BLOCK, class_size)

    def line(self) -> str:
        """The entry as a line of a DALI ``v1.2`` index, without the newline."""
        return (
            f"{PHOTO} {self.offset} {self.size} {self.key}.{PHOTO} "
            f"{LABEL} {self.class_offset} {self.class_size} {self.key}.{LABEL}"
        )


def dali_index(entries: Iterable[IndexEntry]) -> str:
    """A DALI ``v1.2`` index file: the same bytes that DALI's own ``wds2idx`` writes."""
    lines = [entry.line() for entry in entries]
    return "\n".join([f"{DALI_INDEX_VERSION} {len(lines)}", *lines]) + "\n"


def index_lines(
    keys: pa.LargeStringArray, offsets: np.ndarray, sizes: np.ndarray, digits: int
) -> pa.LargeStringArray:
    """Lines of a DALI index, newlines included: what ``IndexEntry.line`` says of each photo.

    Args:
        keys: of the photos.
        offsets: of the JPEG data in the tar, in bytes. Shape (photos,), int64.
        sizes: of the JPEG data, in bytes. Shape (photos,), integers.
        digits: bytes of the ``.cls`` member.
    """
    sizes = sizes.astype(np.int64)
    padded = -(-sizes // TAR_BLOCK) * TAR_BLOCK
    numbers = (offsets, sizes, offsets + padded + TAR_BLOCK)
    offset, size, class_offset = (pa.array(n).cast(pa.large_string()) for n in numbers)
    large = [
        pa.scalar(text, pa.large_string())
        for text in (f"{PHOTO} ", " ", f".{PHOTO} {LABEL} ", f" {digits} ", f".{LABEL}\n", "")
    ]
    photo, blank, label, width, end, nothing = large
    return pc.binary_join_element_wise(
        photo, offset, blank, size, blank, keys, label, class_offset, width, keys, end, nothing
    )


def sample_members(key: str, photo: bytes, label: bytes) -> tuple[bytes, int, int]:
    """The two tar members of a photo, one after the other.

    Args:
        key: of the photo.
        photo: its JPEG.
        label: its label as :func:`class_member` makes it.

    Returns:
        The bytes of both members, where in them the data of the photo starts, and its size.
    """
    head, tail = tar_member(f"{key}.{PHOTO}", photo)
    class_head, class_tail = tar_member(f"{key}.{LABEL}", label)
    block = b"".join((head, photo, tail, class_head, label, class_tail))
    return block, len(head), len(photo)
