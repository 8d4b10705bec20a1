"""Encoded photos by row: views into memory-mapped tars, nothing copied."""

from __future__ import annotations

import mmap
import os
from pathlib import Path

import numpy as np

from shard_tools.format import Store, StoreError


class PhotoSource:
    """The encoded photos of a split.

    Args:
        store: an open store.
        split: one of its splits.

    Raises:
        StoreError: a shard is missing (when it is first touched).
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
        self._maps: dict[int, np.ndarray] = {}

    def encoded(self, rows: np.ndarray) -> list[np.ndarray]:
        """The encoded photos of some rows of the samples table.

        Returns:
            One read-only uint8 array of shape (bytes,) per row, a view that stays valid; empty
            where the shard ends before the photo does.
        """
        place = rows - self._first
        shard, offset = self._shard[place], self._offset[place]
        end = offset + self._size[place]
        return [
            self._view(*each)
            for each in zip(shard.tolist(), offset.tolist(), end.tolist(), strict=True)
        ]

    def _view(self, shard: int, start: int, end: int) -> np.ndarray:
        mapped = self._maps.get(shard)
        if mapped is None:
            mapped = self._maps[shard] = _map_file(self._paths[shard])
        # Reading past the end of a mapped file kills the process; half a photo is no photo.
        return mapped[start:end] if end <= len(mapped) else mapped[:0]

    def close(self) -> None:
        """Forget the mapped shards; each is unmapped when the last view of it is gone."""
        self._maps.clear()


def _map_file(path: Path) -> np.ndarray:
    """A file as a read-only uint8 array."""
    try:
        with open(path, "rb") as file:
            size = os.fstat(file.fileno()).st_size
            if size == 0:
                return np.empty(0, np.uint8)
            return np.frombuffer(mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ), np.uint8)
    except OSError as error:
        raise StoreError(
            f"{path}: cannot be read ({error.strerror}); copy or build the store again"
        ) from None
