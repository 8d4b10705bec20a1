"""A finished store, opened for reading: tables, photos, CSV files."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from shard_tools.columns import read_csv
from shard_tools.errors import StoreError
from shard_tools.files.atomic import atomic_open
from shard_tools.files.remote import RemoteError, explained, is_remote, location
from shard_tools.store.layout import (
    CLASSES,
    CLASSES_SCHEMA,
    MANIFEST,
    SAMPLES,
    SAMPLES_SCHEMA,
    SPLITS,
)
from shard_tools.store.manifest import Manifest


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
        """The samples table (``SAMPLES_SCHEMA``), or some of its columns.

        Columns that the build carried over from the label file are read where they are named.
        """
        return read_table(self.path / SAMPLES, SAMPLES_SCHEMA, columns)

    def class_counts(self, split: str = "train") -> np.ndarray:
        """Photos per class in a split. Shape (num_classes,), int64."""
        return self.classes().column(split).to_numpy().astype(np.int64)


def read_table(path: Path, schema: pa.Schema, columns: list[str] | None = None) -> pa.Table:
    """Read a parquet table of the store, checking that it has the columns it should.

    Columns that are not in the schema come in the type that they have in the file.

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
    known = set(schema.names)
    return table.cast(
        pa.schema([schema.field(n) if n in known else table.schema.field(n) for n in names])
    )


def write_table(path: Path, table: pa.Table, schema: pa.Schema) -> None:
    """Write a parquet table under a temporary name, then rename it into place."""
    with atomic_open(path) as file:
        pq.write_table(table.cast(schema), file, compression="zstd", row_group_size=131_072)


def holds_store(path: Path) -> bool:
    """Whether a path is that of a store, by its manifest."""
    return (path / MANIFEST).is_file()


def read_photo(store: Store, shard: str, offset: int, size: int) -> bytes:
    """The JPEG of a photo, from its place in the samples table.

    Raises:
        StoreError: the tar is missing or too short.
    """
    try:
        with (store.path / shard).open("rb") as file:
            file.seek(offset)
            data = file.read(size)
    except OSError as error:
        reason = error.strerror or str(error)
        raise StoreError(f"{store.path / shard}: {reason}; try glr-shard verify") from None
    if len(data) < size:
        raise StoreError(f"{store.path / shard}: is too short; try glr-shard verify")
    return data


def read_store_csv(store: Store, name: str, columns: tuple[str, ...]) -> pa.Table | None:
    """Columns of a CSV file of a store, as strings; None where there is no such file.

    Raises:
        StoreError: not a CSV file, or without these columns.
    """
    path = store.path / name
    if not path.is_file():
        return None
    return read_csv(path, columns, path.read_bytes() if is_remote(path) else None)
