"""One shard: photos in, a tar and its DALI index out, in a single pass."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from contextlib import closing
from dataclasses import dataclass
from itertools import repeat
from pathlib import Path
from typing import BinaryIO

import numpy as np
import pyarrow as pa

from shard_tools.errors import PhotoError
from shard_tools.files.atomic import atomic_open
from shard_tools.files.read_ahead import write_out
from shard_tools.files.remote import is_remote
from shard_tools.photos.prepare import Photo, PhotoOptions, prepare
from shard_tools.sources.readers import FILE_ERRORS, PhotoReader, reads
from shard_tools.store.manifest import ShardInfo
from shard_tools.store.shard import (
    TAR_END,
    IndexEntry,
    class_member,
    dali_index,
    photo_digest,
    sample_members,
)

#: The rows that a shard adds to the samples table; split, shard and landmark_id follow from it.
ROWS_SCHEMA = pa.schema(
    [
        ("key", pa.string()),
        ("label", pa.int32()),
        ("offset", pa.int64()),
        ("size", pa.int32()),
        ("width", pa.int32()),
        ("height", pa.int32()),
        ("xxh128", pa.binary(16)),
    ]
)

_WRITE_OUT = 8 << 20
"""Bytes after which the disk is told to begin."""


@dataclass(frozen=True)
class PackTask:
    """Everything that decides one shard. Pickled to a worker, here or on another machine."""

    name: str
    """File name, such as ``train-000000.tar``."""
    split: str
    folder: Path
    """Where the shard is written."""
    reader: PhotoReader
    keys: pa.Array
    """Strings, in the order of the shard."""
    paths: pa.Array
    """What ``reader`` calls each photo. Strings."""
    labels: np.ndarray
    """Shape (photos,), int32."""
    digits: int
    """Width of the ``.cls`` members."""
    photo: PhotoOptions
    whole_digests: pa.Array | None = None
    """``photo_digest`` of each photo that a strict decoder was seen to read to its end; null for
    the others, None if no search was made. A photo that still has this digest is not decoded
    again."""


@dataclass(frozen=True)
class Reject:
    """A photo that was rejected."""

    key: str
    path: str
    label: int
    reason: str
    detail: str


@dataclass(frozen=True)
class PackResult:
    """The result of a :class:`PackTask`."""

    info: ShardInfo
    rows: pa.Table
    """``ROWS_SCHEMA``, in the order of the shard."""
    rejected: tuple[Reject, ...]


def pack_shard(task: PackTask, advance: Callable[[int], object] | None = None) -> PackResult:
    """Write one shard and its index. Equal tasks give equal bytes.

    Both files appear under their names when they are whole, the index last.

    Args:
        task: what to pack.
        advance: called with 1 after each photo; may raise to stop, then nothing is left behind.

    Raises:
        OSError: the shard cannot be written, or the source has gone.
    """
    entries: list[IndexEntry] = []
    shapes: list[tuple[int, int, bytes]] = []
    labels: list[int] = []
    rejected: list[Reject] = []
    digest = hashlib.sha256()
    written = 0
    path = task.folder / task.name
    paths = task.paths.to_pylist()
    known = task.whole_digests
    whole = repeat(None, len(paths)) if known is None else known.to_pylist()
    with atomic_open(path) as file, closing(reads(task.reader, paths)) as read:
        begin = None if is_remote(path) else _WriteOut(file)
        photos = zip(task.keys.to_pylist(), paths, task.labels.tolist(), whole, read, strict=True)
        for key, source, label, whole_digest, data in photos:
            try:
                photo, photo_hash = _prepared(_encoded(data), whole_digest, task.photo)
            except PhotoError as bad:
                rejected.append(Reject(key, source, label, bad.reason, bad.detail))
            else:
                block, start, size = sample_members(
                    key, photo.data, class_member(label, task.digits)
                )
                file.write(block)
                if begin is not None:
                    begin.reach(written + len(block))
                digest.update(block)
                entries.append(IndexEntry.of_sample(key, written + start, size, task.digits))
                shapes.append((photo.width, photo.height, photo_hash))
                labels.append(label)
                written += len(block)
            if advance:
                advance(1)
        file.write(TAR_END)
        digest.update(TAR_END)
    index = dali_index(entries).encode()
    info = ShardInfo(
        name=task.name,
        split=task.split,
        samples=len(entries),
        bytes=written + len(TAR_END),
        sha256=digest.hexdigest(),
        index_sha256=hashlib.sha256(index).hexdigest(),
    )
    with atomic_open(task.folder / info.index_name) as file:
        file.write(index)
    return PackResult(info, _rows(entries, labels, shapes), tuple(rejected))


class _WriteOut:
    """Starts writing a file to disk while the rest of it is still being packed.

    Otherwise the fsync at the end would write all of it, and the worker would wait for that.
    """

    def __init__(self, file: BinaryIO) -> None:
        self._file, self._begun = file.fileno(), 0

    def reach(self, size: int) -> None:
        """So many bytes are in the file."""
        if size - self._begun >= _WRITE_OUT:
            write_out(self._file, self._begun, size - self._begun)
            self._begun = size


def _prepared(
    data: bytes, whole_digest: bytes | None, options: PhotoOptions
) -> tuple[Photo, bytes]:
    """The photo as it is packed, and its digest."""
    digest = photo_digest(data)
    photo = prepare(data, options, whole=digest == whole_digest)
    return photo, digest if photo.data is data else photo_digest(photo.data)


def _encoded(read: Callable[[], bytes]) -> bytes:
    try:
        return read()
    except OSError as error:
        if error.errno in FILE_ERRORS:
            raise PhotoError("cannot be read", error.strerror or str(error)) from None
        raise


def _rows(
    entries: list[IndexEntry], labels: list[int], shapes: list[tuple[int, int, bytes]]
) -> pa.Table:
    columns = [
        [entry.key for entry in entries],
        labels,
        [entry.offset for entry in entries],
        [entry.size for entry in entries],
        *([shape[part] for shape in shapes] for part in range(3)),
    ]
    arrays = [
        pa.array(column, field.type) for column, field in zip(columns, ROWS_SCHEMA, strict=True)
    ]
    return pa.table(arrays, schema=ROWS_SCHEMA)
