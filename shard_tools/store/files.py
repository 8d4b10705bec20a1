"""Reading what stands in a store besides its tables: photos out of tars, and its CSV files."""

from __future__ import annotations

from pathlib import Path

import pyarrow as pa

from shard_tools.errors import StoreError
from shard_tools.files.remote import is_remote, location
from shard_tools.sources.labels import read_csv
from shard_tools.store.layout import MANIFEST
from shard_tools.store.store import Store


def located(text: str) -> Path:
    """A path or URL of the command line.

    Raises:
        StoreError: no client for such URLs.
    """
    try:
        return location(text)
    except OSError as error:
        raise StoreError(str(error)) from None


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
