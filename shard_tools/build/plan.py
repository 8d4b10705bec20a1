"""Which photos go in, and where: subset, global shuffle, shards. Pure; workers only execute it."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise

import numpy as np
import pyarrow as pa

from shard_tools.build.hashing import hash_strings
from shard_tools.errors import StoreError
from shard_tools.store.layout import SPLITS

DEFAULT_SHARD_SIZE = 2048


@dataclass(frozen=True)
class ShardPlan:
    """One shard to be: which rows of the plan's order it packs."""

    name: str
    """File name, such as ``train-000000.tar``."""
    split: str
    start: int
    """First place in ``Plan.order``."""
    stop: int
    """One past the last place in ``Plan.order``."""


@dataclass(frozen=True)
class Plan:
    """Order and shards of a whole store."""

    order: np.ndarray
    """Rows of the photo table in store order. Shape (N,), int64."""
    shards: tuple[ShardPlan, ...]


def select_classes(
    labels: np.ndarray, classes: int, top_classes: int | None, min_images: int
) -> np.ndarray:
    """Labels of the classes that go in, ascending.

    Classes with fewer than ``min_images`` photos are left out first; of the rest the
    ``top_classes`` largest stay, the lower label first where sizes are equal. A class without any
    photo never stays.

    Args:
        labels: class of every photo. Shape (N,), integers.
        classes: number of classes.
        top_classes: how many stay, or None for all.
        min_images: the fewest photos a class may have.

    Raises:
        StoreError: nothing is left.
    """
    sizes = np.bincount(labels, minlength=classes)
    kept = np.flatnonzero(sizes >= max(min_images, 1))
    if top_classes is not None:
        kept = kept[np.argsort(-sizes[kept], kind="stable")[:top_classes]]
    if not len(kept):
        raise StoreError(
            f"no class is left: {classes} classes, the largest has {sizes.max(initial=0)} photos, "
            f"--min-images is {min_images}; lower it"
        )
    return np.sort(kept)


def make_plan(keys: pa.ChunkedArray, splits: np.ndarray, seed: int, shard_size: int) -> Plan:
    """Shuffle all photos of each split and cut them into shards of nearly equal size.

    Args:
        keys: unique key of every photo. Length N.
        splits: index into ``SPLITS`` of every photo. Shape (N,), integers.
        seed: of the shuffle.
        shard_size: the most photos in a shard.
    """
    hashes = hash_strings(keys, seed, "shuffle")
    members = [np.flatnonzero(splits == split) for split in range(len(SPLITS))]
    order = np.concatenate([rows[argsort(hashes[rows])] for rows in members])
    shards: list[ShardPlan] = []
    start = 0
    for split, count in enumerate(map(len, members)):
        pieces = -(-count // shard_size)
        edges = [start + piece * count // pieces for piece in range(pieces + 1)] if pieces else []
        for number, (low, high) in enumerate(pairwise(edges)):
            shards.append(ShardPlan(f"{SPLITS[split]}-{number:06d}.tar", SPLITS[split], low, high))
        start += count
    return Plan(order.astype(np.int64), tuple(shards))


def argsort(hashes: np.ndarray) -> np.ndarray:
    """Places in ascending order, equal hashes in the order they have. Shape kept, int64.

    numpy's unstable sort is four times faster, and gives the same where all hashes differ.
    """
    order = np.argsort(hashes)
    ranked = hashes[order]
    if np.any(ranked[1:] == ranked[:-1]):
        return np.argsort(hashes, kind="stable")
    return order
