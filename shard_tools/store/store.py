"""A finished store, opened for reading: tables, photos, CSV files."""

from __future__ import annotations

import io
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from shard_tools.columns import read_csv
from shard_tools.errors import StoreError
from shard_tools.files.regular import open_regular, read_regular
from shard_tools.files.remote import RemoteError, explained, is_remote, location, sizes
from shard_tools.store.layout import (
    CLASSES,
    CLASSES_SCHEMA,
    LARGEST_MANIFEST,
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
    def open(cls, path: Path | str, check: bool = True) -> Store:
        """Open a store: a folder, or a URL such as ``s3://bucket/store``.

        Args:
            path: of the store.
            check: compare the tables with the digests in the manifest: 0.8 ms per MiB that is in
                the cache of the machine. In an object store each table is compared when it is read.

        Raises:
            StoreError: no store there, one of another format version, or a damaged one.
        """
        try:
            path = location(path)
            file = path / MANIFEST
            # A web server knows files only: it need not list a folder, or admit to one.
            if not is_remote(path) and not path.is_dir():
                raise StoreError(f"{path}: no such store folder; make one with glr-shard build")
            unfinished = f"{path}: not a finished store (no {MANIFEST}); run glr-shard build"
            # Nor is it asked whether there is a file: a server that is down says no to that.
            if not is_remote(path) and not file.is_file():
                raise StoreError(unfinished)
            try:
                with explained(path):
                    manifest = Manifest.parse(read_regular(file, LARGEST_MANIFEST), file)
            except FileNotFoundError:
                raise StoreError(unfinished) from None
            store = cls(path, manifest)
            if check and not store.remote:
                store.check_files()
            return store
        except OSError as error:
            text = str(error) if isinstance(error, RemoteError) else error.strerror or str(error)
            where = "" if isinstance(error, RemoteError) else f"{path}: cannot be opened: "
            raise StoreError(f"{where}{text}") from None

    @property
    def remote(self) -> bool:
        """Whether the store is in an object store, not in a folder of this machine."""
        return is_remote(self.path)

    def check_files(self) -> None:
        """Compare the tables and lists with the sizes and digests in the manifest.

        Raises:
            StoreError: one of them is missing, or not what was written.
        """
        for info in self.manifest.files:
            self.content(info.name)

    def content(self, name: str) -> bytes:
        """The bytes of a table or list, which the manifest must name.

        Raises:
            StoreError: it is missing, or not what was written.
        """
        file = self.path / name
        info = next((info for info in self.manifest.files if info.name == name), None)
        if info is None:
            raise StoreError(f"{self.path / MANIFEST}: names no {name}; build the store again")
        try:
            with explained(self.path):
                data = read_regular(file, info.bytes)
        except OSError as error:
            text = error.strerror or str(error)
            raise StoreError(f"{file}: {text}; the store is damaged, build it again") from None
        problem = info.problem(data)
        if problem:
            raise StoreError(f"{file}: damaged: {problem}; build the store again")
        return data

    def check_shards(self, split: str | None = None) -> None:
        """See whether the tars are there and have the sizes that the manifest says.

        In an object store nothing is looked at: there each shard is compared when it is fetched,
        and a web server cannot list them.

        Args:
            split: only its shards; None for all.

        Raises:
            StoreError: one is missing, or has another size.
        """
        if self.remote:
            return
        there = sizes(self.path)
        for shard in self.manifest.shards:
            size = there.get(shard.name)
            if size != shard.bytes and split in (None, shard.split):
                found = "missing" if size is None else f"has {size:,} bytes"
                raise StoreError(
                    f"{self.path / shard.name}: {found}, the manifest says {shard.bytes:,} bytes; "
                    "glr-shard repair rebuilds it from the source"
                )

    @property
    def num_classes(self) -> int:
        """Number of classes; labels are 0 to num_classes - 1."""
        return int(self.manifest.counts["classes"])

    @property
    def known_classes(self) -> int:
        """Number of classes that a model can know: photos with this label or a larger one are of
        none of them. All classes, unless the store was built with ``--classes-of``."""
        known = self.manifest.notes.get("known_classes")
        if isinstance(known, int) and 0 <= known <= self.num_classes:
            return known
        return self.num_classes

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
        return read_table(self, CLASSES, CLASSES_SCHEMA)

    def samples(self, columns: list[str] | None = None) -> pa.Table:
        """The samples table (``SAMPLES_SCHEMA``), or some of its columns.

        Columns that the build carried over from the label file are read where they are named.
        """
        return read_table(self, SAMPLES, SAMPLES_SCHEMA, columns)

    def class_counts(self, split: str = "train") -> np.ndarray:
        """Photos per class in a split. Shape (num_classes,), int64."""
        return self.classes().column(split).to_numpy().astype(np.int64)


def read_table(
    store: Store, name: str, schema: pa.Schema, columns: list[str] | None = None
) -> pa.Table:
    """Read a parquet table of the store, checking that it has the columns it should.

    Columns that are not in the schema come in the type that they have in the file.

    Raises:
        StoreError: missing, damaged, or other columns.
    """
    path, names = store.path / name, columns or schema.names
    try:
        if store.remote:
            table = pq.read_table(io.BytesIO(store.content(name)), columns=names)
        else:
            table = pq.read_table(path, columns=names)
        missing = [name for name in names if name not in table.column_names]
        if missing:
            raise StoreError(
                f"{path}: columns missing: {', '.join(missing)}; build the store again"
            )
        known = set(schema.names)
        table = table.cast(
            pa.schema([schema.field(n) if n in known else table.schema.field(n) for n in names])
        )
        table.validate(full=True)
    except FileNotFoundError:
        raise StoreError(f"{path}: missing; the store is damaged, build it again") from None
    except (OSError, pa.ArrowException, ValueError, MemoryError, UnicodeError) as error:
        text = " ".join(str(error).split())
        raise StoreError(f"{path}: cannot be read ({text}); build the store again") from None
    empty = [n for n in names if n in known and n not in _MAY_BE_NULL and table[n].null_count]
    if empty:
        raise StoreError(f"{path}: column {empty[0]} has nulls; build the store again")
    return table


_MAY_BE_NULL = ("name",)


def table_bytes(table: pa.Table, schema: pa.Schema) -> bytes:
    """A table as the bytes of a parquet file."""
    file = io.BytesIO()
    pq.write_table(table.cast(schema), file, compression="zstd", row_group_size=131_072)
    return file.getvalue()


def holds_store(path: Path) -> bool:
    """Whether a path is that of a store, by its manifest."""
    return (path / MANIFEST).is_file()


def read_photo(store: Store, shard: str, offset: int, size: int) -> bytes:
    """The JPEG of a photo, from its place in the samples table.

    Raises:
        StoreError: the tar is missing or too short.
    """
    try:
        path = store.path / shard
        with path.open("rb") if store.remote else open_regular(path) as file:
            file.seek(offset)
            data = file.read(size)
    except OSError as error:
        reason = error.strerror or str(error)
        raise StoreError(f"{store.path / shard}: {reason}; try glr-shard verify") from None
    if len(data) < size:
        raise StoreError(f"{store.path / shard}: is too short; try glr-shard verify")
    return data


def read_store_csv(store: Store, name: str, columns: tuple[str, ...]) -> pa.Table | None:
    """Columns of a CSV file of a store, as strings; None where the store has no such file.

    Raises:
        StoreError: not a CSV file, or without these columns.
    """
    if name not in [info.name for info in store.manifest.files]:
        return None
    return read_csv(store.path / name, columns, store.content(name))
