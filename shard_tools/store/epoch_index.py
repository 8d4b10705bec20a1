"""Epoch orders that ``glr-shard index`` wrote into a store, opened for reading."""

from __future__ import annotations

import io
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from shard_tools.errors import StoreError
from shard_tools.files.regular import read_regular
from shard_tools.store.layout import INDEX_DIR, LARGEST_MANIFEST, SPLITS
from shard_tools.store.seal import digest, unseal
from shard_tools.store.store import Store

INDEX_FILE = "index.json"

INDEX_FORMAT = "glr-index"

INDEX_VERSION = 2

_LARGEST_HEADER = 1 << 16
"""Bytes of a ``.npy`` before its numbers."""

_REMEDY = "write the index again with glr-shard index"


@dataclass(frozen=True)
class Epoch:
    """One epoch of an index, as ``index.json`` lists it."""

    order: str
    """The ``.npy`` with the rows that it draws."""
    shards: tuple[str, ...]
    """The tars that it draws from, relative to the folder."""
    indexes: tuple[str, ...]
    """A DALI index for each of them."""
    xxh128: str
    """Digest of the order's file."""
    indexes_xxh128: str
    """Digest of the indexes' files, one after the other."""

    @classmethod
    def parse(cls, raw: Any, number: int, names: set[str]) -> Epoch:
        """From JSON. Names are checked: nothing outside the folder and the store is opened.

        Raises:
            ValueError: not an epoch, or a name that is not one of its files.
        """
        if not isinstance(raw, dict):
            raise ValueError("an epoch is no object")
        folder = f"epoch-{number:04d}"
        if raw.get("order") != f"{folder}.npy":
            raise ValueError(f"the order of epoch {number} is {raw.get('order')!r}")
        shards, indexes = raw.get("shards"), raw.get("indexes")
        if not isinstance(shards, list) or not isinstance(indexes, list):
            raise ValueError(f"epoch {number} lists no tars and indexes")
        stems = [str(name).removeprefix("../../").removesuffix(".tar") for name in shards]
        strange = [stem for stem in stems if f"{stem}.tar" not in names]
        if strange or shards != [f"../../{stem}.tar" for stem in stems]:
            raise ValueError(f"epoch {number} lists tars that are not of this store: {shards[:1]}")
        if indexes != [f"{folder}/{stem}.idx" for stem in stems]:
            raise ValueError(f"epoch {number} lists indexes that are not those of its tars")
        digests = [raw.get("xxh128"), raw.get("indexes_xxh128")]
        if not all(isinstance(d, str) and re.fullmatch("[0-9a-f]{32}", d) for d in digests):
            raise ValueError(f"epoch {number} has no digests")
        return cls(raw["order"], tuple(shards), tuple(indexes), *map(str, digests))


@dataclass(frozen=True)
class EpochIndex:
    """The epoch orders of one folder under ``index/``."""

    folder: Path
    split: str
    rows: range
    """Those of the split in the samples table."""
    epochs: tuple[Epoch, ...]

    @staticmethod
    def digest(store: Store, name: str) -> str:
        """A digest of an index: of its list, which holds those of all its files."""
        return digest((store.path / INDEX_DIR / name / INDEX_FILE).read_bytes())

    @classmethod
    def open(cls, store: Store, name: str, split: str | None = None) -> EpochIndex:
        """Open an index by its name.

        Args:
            store: that it is of.
            name: of the folder under ``index/``.
            split: that it must be of; None takes any.

        Raises:
            StoreError: none of that name, one of another split or store, or a damaged one.
        """
        folder = store.path / INDEX_DIR / name
        file = folder / INDEX_FILE
        if not file.is_file():
            there = sorted(path.parent.name for path in folder.parent.glob(f"*/{INDEX_FILE}"))
            raise StoreError(
                f"{folder}: no such index; the store has {', '.join(there) or 'none'}; write one "
                "with glr-shard index"
            )
        try:
            data = read_regular(file, LARGEST_MANIFEST)
            raw = unseal(file, data, INDEX_FORMAT, INDEX_VERSION, _REMEDY)
            listed = raw["epochs"]
            if raw["split"] not in SPLITS or not isinstance(listed, list) or not listed:
                raise ValueError("no split or no epochs")
            names = {shard.name for shard in store.manifest.shards}
            epochs = tuple(Epoch.parse(e, number, names) for number, e in enumerate(listed))
            index = cls(folder, raw["split"], store.split_rows(raw["split"]), epochs)
            if raw["samples"] != len(index.rows):
                said = f"{raw['samples']} photos, the split of the store has {len(index.rows):,}"
                raise ValueError(said)
        except OSError as error:
            raise StoreError(f"{file}: {error.strerror or error}; {_REMEDY}") from None
        except (ValueError, KeyError, TypeError) as error:
            raise StoreError(f"{file}: not an index of this store ({error}); {_REMEDY}") from None
        if split is not None and index.split != split:
            raise StoreError(f"{folder}: an index of split {index.split}, not of {split}")
        return index

    def order(self, epoch: int) -> np.ndarray:
        """Rows of the samples table in the order of an epoch; after the last one the first again.

        Shape (photos,), int64.

        Raises:
            StoreError: its file is missing or not what was written.
        """
        listed = self.epochs[epoch % len(self.epochs)]
        file = self.folder / listed.order
        try:
            data = read_regular(file, 8 * len(self.rows) + _LARGEST_HEADER)
            if digest(data) != listed.xxh128:
                raise ValueError("its content is not what was written")
            order = np.load(io.BytesIO(data), allow_pickle=False)
            if order.dtype != np.int64 or order.shape != (len(self.rows),):
                raise ValueError(f"it is {order.dtype} of shape {order.shape}")
            if len(order) and (order.min() < self.rows.start or order.max() >= self.rows.stop):
                raise ValueError(f"it has rows that are not of split {self.split}")
        except Exception as error:  # numpy raises whatever it trips over in a header
            raise StoreError(f"{file}: cannot be used ({error}); {_REMEDY}") from None
        return order
