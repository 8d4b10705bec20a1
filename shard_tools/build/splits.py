"""The arithmetic of stratified splits, for ``assign``. Pure and vectorised."""

from __future__ import annotations

import math
from collections.abc import Sequence
from fractions import Fraction

import numpy as np
import pyarrow as pa

from shard_tools.build.hashing import hash_strings, uniform_integers
from shard_tools.errors import StoreError
from shard_tools.store.layout import SPLITS

DEFAULT_FRACTIONS = (0.72, 0.18, 0.10)
TRAIN = 0
_UNIT = 1_000_000
"""Fractions are counted in millionths, so that no rounding of floats decides a split."""


def parse_fractions(text: str) -> tuple[float, float, float]:
    """Fractions such as ``0.72,0.18,0.10`` from the command line.

    Raises:
        StoreError: not three numbers from 0 to 1 that sum to 1, or nothing to train on.
    """
    advice = "give three numbers that sum to 1: train,val,test, such as 0.72,0.18,0.10"
    try:
        train, val, test = (float(Fraction(part.strip())) for part in text.split(","))
    except (ValueError, ZeroDivisionError, OverflowError):
        raise StoreError(f"--splits {text} are not three numbers; {advice}") from None
    check_fractions((train, val, test), text, advice, train=False)
    return train, val, test


def check_fractions(
    fractions: Sequence[float], text: str = "", advice: str = "", train: bool = True
) -> None:
    """Check split fractions; ``train`` says that there must be something to train on.

    Raises:
        StoreError: see :func:`parse_fractions`.
    """
    text = text or ",".join(f"{part:g}" for part in fractions)
    advice = advice or "give three numbers that sum to 1"
    if not all(math.isfinite(f) and 0 <= f <= 1 for f in fractions):
        raise StoreError(f"--splits {text} are not all from 0 to 1; {advice}")
    if abs(sum(fractions) - 1) > 1e-6:
        raise StoreError(f"--splits {text} sum to {sum(fractions):g}; {advice}")
    if train and fractions[TRAIN] <= 0:
        raise StoreError(
            f"--splits {text} leave nothing to train on; {advice}, or --classes-of RUN for a store "
            "that only evaluates"
        )


def split_counts(sizes: np.ndarray, fractions: Sequence[float], draws: np.ndarray) -> np.ndarray:
    """Photos of each class per split, rounded so that no split starves on a long tail.

    Every count is its exact share rounded down or up, and train has at least one photo. Which way
    it is rounded is decided by one draw per class (systematic sampling), with the expectation
    exactly the share: of 1000 classes of two photos some 200 have a photo in test, where the
    largest remainder alone would send every class the same way and leave test empty.

    Args:
        sizes: photos per class. Shape (classes,), int64.
        fractions: of train, val and test; sum 1.
        draws: uniform in [0, 1,000,000). Shape (classes,), int64.

    Returns:
        Shape (classes, 3), int64; rows sum to ``sizes``.
    """
    edges = np.rint(np.cumsum([0.0, *fractions]) * _UNIT).astype(np.int64)
    edges[-1] = _UNIT
    bounds = (sizes[:, None] * edges + draws[:, None]) // _UNIT
    counts = np.diff(bounds, axis=1)
    if not fractions[TRAIN]:  # a store for evaluation only
        return counts
    starved = np.flatnonzero((counts[:, TRAIN] == 0) & (sizes > 0))
    counts[starved, counts[starved].argmax(axis=1)] -= 1
    counts[starved, TRAIN] = 1
    return counts


def assign_splits(
    keys: pa.ChunkedArray,
    labels: np.ndarray,
    landmark_ids: pa.ChunkedArray,
    fractions: Sequence[float],
    seed: int,
    groups: np.ndarray | None = None,
) -> np.ndarray:
    """The split of every photo. It depends on keys, classes, fractions and seed, not on row order.

    Nor does it depend on which other classes are there: a subset of the classes splits as it does
    within the whole.

    Args:
        keys: unique key of every photo. Length N.
        labels: class of every photo. Shape (N,), integers.
        landmark_ids: id of every label. Length classes.
        fractions: of train, val and test; sum 1.
        seed: of the build.
        groups: photos with the same number, 0 or more, are kept in one split; -1 means no group.
            A group that spans classes trains: its label is in doubt, so it should not measure.

    Returns:
        Index into ``SPLITS`` of every photo. Shape (N,), int8.
    """
    check_fractions(fractions, train=False)
    sizes = np.bincount(labels, minlength=len(landmark_ids)).astype(np.int64)
    draws = uniform_integers(hash_strings(landmark_ids, seed, "split rounding"), _UNIT)
    counts = split_counts(sizes, fractions, draws)
    units = hash_strings(keys, seed, "split order")
    mixed = np.zeros(len(labels), bool)
    if groups is not None:
        units, mixed = _by_group(units, labels, groups)
    order = np.lexsort((units, ~mixed, labels))
    first = np.repeat(np.cumsum(sizes) - sizes, sizes)
    place = np.arange(len(labels)) - first
    if groups is not None:
        place = _first_of_unit(place, units[order], labels[order])
    ends = np.cumsum(counts, axis=1)[labels[order]]
    split = np.empty(len(labels), np.int8)
    split[order] = (place[:, None] >= ends[:, : len(SPLITS) - 1]).sum(axis=1)
    split[mixed] = TRAIN
    return split


def _by_group(
    hashes: np.ndarray, labels: np.ndarray, groups: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Each photo's group hash (its members' smallest), and whether the group spans classes."""
    units, mixed = hashes.copy(), np.zeros(len(labels), bool)
    rows = np.flatnonzero(groups >= 0)
    _, member = np.unique(groups[rows], return_inverse=True)
    of_group = np.full(member.max(initial=-1) + 1, np.iinfo(np.uint64).max, np.uint64)
    np.minimum.at(of_group, member, hashes[rows])
    low = np.full(len(of_group), np.iinfo(np.int64).max)
    high = np.full(len(of_group), -1)
    np.minimum.at(low, member, labels[rows])
    np.maximum.at(high, member, labels[rows])
    units[rows], mixed[rows] = of_group[member], (low != high)[member]
    return units, mixed


def _first_of_unit(place: np.ndarray, units: np.ndarray, labels: np.ndarray) -> np.ndarray:
    """In sorted rows, the place of the first photo of each photo's group: it decides for all."""
    starts = np.ones(len(place), bool)
    starts[1:] = (units[1:] != units[:-1]) | (labels[1:] != labels[:-1])
    return place[np.flatnonzero(starts)[np.cumsum(starts) - 1]]
