"""The store's byte format: its one reader and writer (the contract is docs/format.md).

A store is a folder of WebDataset tars, DALI ``.idx`` files, two parquet tables and a manifest.
Everything that must be the same in the tool that writes and the loader that reads stands here.
"""

from __future__ import annotations

import hashlib
import io
import json
import os
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import xxhash

from shard_tools.files.remote import RemoteError, explained, is_remote, location, open_to_put

FORMAT_NAME = "glr-store"
FORMAT_VERSION = 2
SPLITS = ("train", "val", "test")

MANIFEST = "manifest.json"
CLASSES = "classes.parquet"
SAMPLES = "samples.parquet"
REJECTED = "rejected.csv"
INDEX_DIR = "index"

TAR_BLOCK = 512
TAR_END = b"\0" * (2 * TAR_BLOCK)
DALI_INDEX_VERSION = "v1.2"

#: One row per class; the row number is the label.
CLASSES_SCHEMA = pa.schema(
    [
        ("label", pa.int32()),
        ("landmark_id", pa.string()),
        ("name", pa.string()),
        ("train", pa.int32()),
        ("val", pa.int32()),
        ("test", pa.int32()),
    ]
)

#: One row per photo, ordered by split (train, val, test), shard and place in the shard. The row
#: number is what an epoch order names.
SAMPLES_SCHEMA = pa.schema(
    [
        ("key", pa.string()),
        ("landmark_id", pa.dictionary(pa.int32(), pa.string())),
        ("label", pa.int32()),
        ("split", pa.dictionary(pa.int32(), pa.string())),
        ("shard", pa.dictionary(pa.int32(), pa.string())),
        ("offset", pa.int64()),
        ("size", pa.int32()),
        ("width", pa.int32()),
        ("height", pa.int32()),
        ("xxh128", pa.binary(16)),
    ]
)


class StoreError(Exception):
    """Something a user can put right about a source or a store; the message is one line."""


@dataclass(frozen=True)
class ShardInfo:
    """One tar of a store, as the manifest lists it."""

    name: str
    """File name, such as ``train-000000.tar``."""
    split: str
    """One of ``train``, ``val``, ``test``."""
    samples: int
    """Photos in it."""
    bytes: int
    """Size of the tar."""
    sha256: str
    """Hex digest of the tar."""
    index_sha256: str
    """Hex digest of its ``.idx``."""

    @property
    def index_name(self) -> str:
        """File name of the DALI index beside the tar."""
        return self.name.removesuffix(".tar") + ".idx"


@dataclass(frozen=True)
class Manifest:
    """What ``manifest.json`` holds. It carries no dates: equal builds give equal manifests."""

    source: Mapping[str, Any]
    """Where the photos came from: kind and location."""
    options: Mapping[str, Any]
    """Build options that decide the bytes."""
    seed: int
    """Seed of split and shuffle."""
    counts: Mapping[str, int]
    """Classes, photos per split, rejected photos, and the like."""
    shards: tuple[ShardInfo, ...]
    """In the order of the samples table."""
    notes: Mapping[str, Any] = field(default_factory=dict)
    """What a person should know: classes with no training photo, files without a label."""

    def to_json(self) -> str:
        """The manifest as it stands in the file."""
        head = {"format": FORMAT_NAME, "version": FORMAT_VERSION}
        return json.dumps(head | asdict(self), indent=1, sort_keys=False) + "\n"

    @classmethod
    def from_json(cls, text: str, where: str) -> Manifest:
        """Parse a manifest. ``where`` names the file in messages.

        Raises:
            StoreError: not a manifest, or one of another format version.
        """
        try:
            raw = json.loads(text)
        except ValueError as error:
            raise StoreError(f"{where}: not JSON ({error}); build the store again") from None
        if not isinstance(raw, dict) or raw.get("format") != FORMAT_NAME:
            raise StoreError(f"{where}: not the manifest of a {FORMAT_NAME}")
        if raw.get("version") != FORMAT_VERSION:
            raise StoreError(
                f"{where}: store format version {raw.get('version')!r}, this program reads version "
                f"{FORMAT_VERSION}; rebuild the store with this version's glr-shard build"
            )
        try:
            return cls(
                source=raw["source"],
                options=raw["options"],
                seed=raw["seed"],
                counts=raw["counts"],
                shards=tuple(ShardInfo(**shard) for shard in raw["shards"]),
                notes=raw.get("notes", {}),
            )
        except (KeyError, TypeError) as error:
            raise StoreError(f"{where}: incomplete manifest ({error}); rebuild the store") from None


@dataclass(frozen=True)
class Store:
    """A store opened for reading: the manifest is read, the tables on request."""

    path: Path
    manifest: Manifest

    @classmethod
    def open(cls, path: Path | str) -> Store:
        """Open a store: a folder, or a URL such as ``s3://bucket/store``.

        Raises:
            StoreError: no store there, or one of another format version.
        """
        try:
            path = location(path)
            file = path / MANIFEST
            # A web server knows files only: it need not list a folder, or admit to one.
            if not is_remote(path) and not path.is_dir():
                raise StoreError(f"{path}: no such store folder; make one with glr-shard build")
            if not file.is_file():
                raise StoreError(
                    f"{path}: not a finished store (no {MANIFEST}); run glr-shard build"
                )
            with explained(path):
                return cls(path, Manifest.from_json(file.read_text(), str(file)))
        except RemoteError as error:
            raise StoreError(str(error)) from None

    @property
    def remote(self) -> bool:
        """Whether the store is in an object store, not in a folder of this machine."""
        return is_remote(self.path)

    @property
    def num_classes(self) -> int:
        """Number of classes; labels are 0 to num_classes - 1."""
        return int(self.manifest.counts["classes"])

    def split_rows(self, split: str) -> range:
        """Rows of the samples table that a split occupies (they are contiguous).

        Raises:
            StoreError: unknown split.
        """
        if split not in SPLITS:
            raise StoreError(f"unknown split {split!r}; the store has {', '.join(SPLITS)}")
        start = 0
        for name in SPLITS:
            count = sum(s.samples for s in self.manifest.shards if s.split == name)
            if name == split:
                return range(start, start + count)
            start += count
        raise AssertionError("unreachable")

    def classes(self) -> pa.Table:
        """The classes table (``CLASSES_SCHEMA``), one row per label."""
        return read_table(self.path / CLASSES, CLASSES_SCHEMA)

    def samples(self, columns: list[str] | None = None) -> pa.Table:
        """The samples table (``SAMPLES_SCHEMA``) or some of its columns."""
        return read_table(self.path / SAMPLES, SAMPLES_SCHEMA, columns)

    def class_counts(self, split: str = "train") -> np.ndarray:
        """Photos per class in a split. Shape (num_classes,), int64."""
        return self.classes().column(split).to_numpy().astype(np.int64)


@dataclass(frozen=True)
class EpochIndex:
    """The epoch orders of one folder under ``index/``."""

    folder: Path
    split: str
    files: tuple[str, ...]
    """One ``.npy`` per epoch."""

    @classmethod
    def open(cls, store: Store, name: str, split: str) -> EpochIndex:
        """Open an index by its name.

        Raises:
            StoreError: none of that name, or one of another split.
        """
        folder = store.path / INDEX_DIR / name
        file = folder / "index.json"
        if not file.is_file():
            there = sorted(path.parent.name for path in folder.parent.glob("*/index.json"))
            raise StoreError(
                f"{folder}: no such index; the store has {', '.join(there) or 'none'}; write one "
                "with glr-shard index"
            )
        try:
            raw = json.loads(file.read_text())
            index = cls(folder, raw["split"], tuple(epoch["order"] for epoch in raw["epochs"]))
        except (ValueError, KeyError, TypeError) as error:
            raise StoreError(f"{file}: not an index of this version ({error})") from None
        if index.split != split:
            raise StoreError(f"{folder}: an index of split {index.split}, not of {split}")
        return index

    def order(self, epoch: int) -> np.ndarray:
        """Rows of the samples table in the order of an epoch; after the last one the first again.

        Shape (photos,), int64.
        """
        file = self.folder / self.files[epoch % len(self.files)]
        try:
            return np.load(io.BytesIO(file.read_bytes()))
        except (OSError, ValueError) as error:
            raise StoreError(f"{file}: cannot be read ({error}); write the index again") from None


def read_table(path: Path, schema: pa.Schema, columns: list[str] | None = None) -> pa.Table:
    """Read a parquet table of the store, checking that it has the columns it should.

    Raises:
        StoreError: missing, unreadable, or other columns.
    """
    if not path.is_file():
        raise StoreError(f"{path}: missing; the store is damaged, build it again")
    names = columns or schema.names
    try:
        if is_remote(path):
            with path.open("rb") as file:
                table = pq.read_table(file, columns=names)
        else:
            table = pq.read_table(path, columns=names)
    except (OSError, pa.ArrowException) as error:
        raise StoreError(f"{path}: cannot be read ({error}); build the store again") from None
    missing = [name for name in names if name not in table.column_names]
    if missing:
        raise StoreError(f"{path}: columns missing: {', '.join(missing)}; build the store again")
    return table.cast(pa.schema([schema.field(name) for name in names]))


def write_table(path: Path, table: pa.Table, schema: pa.Schema) -> None:
    """Write a parquet table under a temporary name, then rename it into place."""
    with atomic_open(path) as file:
        pq.write_table(table.cast(schema), file, compression="zstd", row_group_size=131_072)


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


def label_digits(num_classes: int) -> int:
    """Width of the ``.cls`` member: digits of the largest label."""
    return len(str(max(num_classes - 1, 0)))


def class_member(label: int, digits: int) -> bytes:
    """The ``.cls`` member of a photo: its label as fixed-width ASCII digits."""
    return f"{label:0{digits}d}".encode("ascii")


def photo_digest(data: bytes | memoryview) -> bytes:
    """What tells photos apart by their bytes: XXH3, 128 bits, canonical (big-endian) form.

    No cryptographic hash: the sha256 of the tar is there for that, and a second one over every byte
    was the largest part of packing photos that are not decoded.
    """
    return xxhash.xxh3_128_digest(data)


def tar_member(name: str, data: bytes) -> tuple[bytes, bytes]:
    """Header and padding of one tar member: ``header + data + padding`` is what stands in the tar.

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
    """Where one photo stands in its tar: what one line of a DALI index says."""

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
            f"jpg {self.offset} {self.size} {self.key}.jpg "
            f"cls {self.class_offset} {self.class_size} {self.key}.cls"
        )


def dali_index(entries: Iterable[IndexEntry]) -> str:
    """A DALI ``v1.2`` index file: the same bytes that DALI's own ``wds2idx`` writes."""
    lines = [entry.line() for entry in entries]
    return "\n".join([f"{DALI_INDEX_VERSION} {len(lines)}", *lines]) + "\n"


def sha256_file(path: Path) -> str:
    """Hex sha256 of a file."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
