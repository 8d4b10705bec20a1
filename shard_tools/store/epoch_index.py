"""Epoch orders that ``glr-shard index`` wrote into a store, opened for reading."""

from __future__ import annotations

import io
import json
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from shard_tools.errors import StoreError
from shard_tools.store.layout import INDEX_DIR
from shard_tools.store.store import Store


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


INDEX_FILE = "index.json"

INDEX_FORMAT = "glr-index"

INDEX_VERSION = 1
