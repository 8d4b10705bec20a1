"""Class-balanced index files: epoch orders, and DALI indexes over the unchanged tars.

Written to ``STORE/index/NAME``. Any DALI WebDataset reader that is given an epoch's lists of tars
and indexes draws what the order draws, without this project's loader.
"""

from __future__ import annotations

import json
import re
import shutil
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np

from shard_tools.arrow import one_array
from shard_tools.balance import epoch_order
from shard_tools.format import (
    INDEX_DIR,
    SPLITS,
    IndexEntry,
    Store,
    StoreError,
    dali_index,
    label_digits,
)
from shard_tools.policies import parse_policy

INDEX_FILE = "index.json"
INDEX_FORMAT = "glr-index"
INDEX_VERSION = 1


@dataclass(frozen=True)
class IndexOptions:
    """What to write."""

    policy: str
    """A policy or a schedule, as ``policies`` describes."""
    epochs: int
    """How many epochs, from epoch 0."""
    seed: int
    """Of the orders."""
    name: str
    """Folder under ``STORE/index``."""
    split: str = "train"
    """Which photos are drawn."""

    def __post_init__(self) -> None:
        parse_policy(self.policy)
        if self.split not in SPLITS:
            raise StoreError(f"--split {self.split!r} is unknown; give {', '.join(SPLITS)}")
        if self.epochs < 1:
            raise StoreError(f"--epochs is {self.epochs}; it must be 1 or more")
        if self.seed < 0:
            raise StoreError(f"--seed is {self.seed}; it must be 0 or more")
        if not re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9._-]*", self.name):
            raise StoreError(f"--name {self.name!r}: use letters, digits, '-', '_' and '.' only")


def write_index(store_path: Path, options: IndexOptions) -> str:
    """Write the index files of a policy; the folder appears when it is whole.

    Returns:
        A line that says what was written.

    Raises:
        StoreError: no such store, the name is taken, the split is empty, or the disk is full.
    """
    store = Store.open(store_path)
    folder = store.path / INDEX_DIR / options.name
    if folder.exists():
        raise StoreError(f"{folder}: already there; give another --name, or remove it")
    if not len(store.split_rows(options.split)):
        raise StoreError(f"{store_path}: no photos in split {options.split}")
    building = folder.with_name(f".{options.name}.tmp")
    shutil.rmtree(building, ignore_errors=True)
    try:
        building.mkdir(parents=True)
        drawn = _write(store, options, building)
        building.rename(folder)
    except OSError as error:
        raise StoreError(f"{folder}: cannot be written ({error.strerror})") from None
    finally:
        shutil.rmtree(building, ignore_errors=True)
    return (
        f"{folder}: {options.epochs} epochs of {drawn:,} photos, "
        f"policy {options.policy}, split {options.split}, seed {options.seed}"
    )


def _write(store: Store, options: IndexOptions, folder: Path) -> int:
    """Orders, indexes and the file that lists them; returns the photos per epoch."""
    split = store.split_rows(options.split)
    table = store.samples(["key", "label", "shard", "offset", "size"])
    table = table.slice(split.start, len(split))
    lines = _Lines(table, label_digits(store.num_classes))
    labels = table["label"].to_numpy()
    epochs: list[dict[str, Any]] = []
    for epoch in range(options.epochs):
        order = epoch_order(labels, options.policy, options.seed, epoch)
        name = f"epoch-{epoch:04d}"
        np.save(folder / f"{name}.npy", order + split.start)
        (folder / name).mkdir()
        shards = lines.write(order, folder / name)
        epochs.append(
            {
                "order": f"{name}.npy",
                "shards": [f"../../{shard}.tar" for shard in shards],
                "indexes": [f"{name}/{shard}.idx" for shard in shards],
            }
        )
    head = {"format": INDEX_FORMAT, "version": INDEX_VERSION}
    described = head | asdict(options) | {"samples": len(split), "epochs": epochs}
    (folder / INDEX_FILE).write_text(json.dumps(described, indent=1) + "\n")
    return len(split)


class _Lines:
    """The index line of any photo of a split."""

    def __init__(self, table: Any, digits: int) -> None:
        shards = one_array(table["shard"].unify_dictionaries())
        self._codes = shards.indices.to_numpy()
        self._shards = [name.removesuffix(".tar") for name in shards.dictionary.to_pylist()]
        self._keys = one_array(table["key"])
        self._offsets, self._sizes = table["offset"].to_numpy(), table["size"].to_numpy()
        self._digits = digits

    def write(self, order: np.ndarray, folder: Path) -> list[str]:
        """Write an index for every shard that ``order`` draws from; returns their names."""
        by_shard = order[np.argsort(self._codes[order], kind="stable")]
        codes, starts = np.unique(self._codes[by_shard], return_index=True)
        names = [self._shards[code] for code in codes]
        for name, rows in zip(names, np.split(by_shard, starts[1:]), strict=True):
            (folder / f"{name}.idx").write_text(self._index(rows))
        return names

    def _index(self, rows: np.ndarray) -> str:
        keys = self._keys.take(rows).to_pylist()
        places = zip(keys, self._offsets[rows].tolist(), self._sizes[rows].tolist(), strict=True)
        return dali_index(IndexEntry.of_sample(*place, self._digits) for place in places)
