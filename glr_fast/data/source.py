"""Encoded photos by row: views into memory-mapped tars, nothing copied."""

from __future__ import annotations

import mmap
from pathlib import Path

import numpy as np

from shard_tools.format import Store, StoreError


class PhotoSource:
    """The encoded photos of a split.

    Args:
        store: an open store.
        split: one of its splits.

    Raises:
        StoreError: a shard is missing or shorter than its photos need (checked when it is first
            touched).
    """

    def __init__(self, store: Store, split: str) -> None:
        rows = store.split_rows(split)
        table = store.samples(["shard", "offset", "size"]).slice(rows.start, len(rows))
        shard = table.column("shard").unify_dictionaries().combine_chunks()
        self._first = rows.start
        self._shard = shard.indices.to_numpy().astype(np.int64)
        self._paths = [store.path / name for name in shard.dictionary.to_pylist()]
        self._offset = table.column("offset").to_numpy()
        self._size = table.column("size").to_numpy().astype(np.int64)
        self._needed = np.zeros(len(self._paths), np.int64)
        np.maximum.at(self._needed, self._shard, self._offset + self._size)
        self._maps: dict[int, np.ndarray] = {}

    def encoded(self, rows: np.ndarray) -> list[np.ndarray]:
        """The encoded photos of some rows of the samples table.

        Returns:
            One read-only uint8 array of shape (bytes,) per row: views that stay valid while this
            source is open.
        """
        place = rows - self._first
        shard, offset = self._shard[place], self._offset[place]
        end = offset + self._size[place]
        return [
            self._map(s)[a:b]
            for s, a, b in zip(shard.tolist(), offset.tolist(), end.tolist(), strict=True)
        ]

    def _map(self, shard: int) -> np.ndarray:
        mapped = self._maps.get(shard)
        if mapped is None:
            mapped = self._maps[shard] = _map_file(self._paths[shard], int(self._needed[shard]))
        return mapped

    def close(self) -> None:
        """Forget the mapped shards; each is unmapped when the last view of it is gone."""
        self._maps.clear()


def _map_file(path: Path, needed: int) -> np.ndarray:
    """A file as a read-only uint8 array, checked to be as long as its index says.

    The check matters: reading past the end of a mapped file kills the process.
    """
    try:
        with open(path, "rb") as file:
            mapped = mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)
    except (OSError, ValueError) as error:
        raise StoreError(f"{path}: cannot be read ({error}); build the store again") from None
    if len(mapped) < needed:
        raise StoreError(
            f"{path}: {len(mapped)} bytes, its photos reach to {needed}; the shard is cut off: "
            "copy or build the store again"
        )
    return np.frombuffer(mapped, np.uint8)
