"""Sampling policies: which photo of a split stands at which place of an epoch.

Pure numpy. The same functions drive the training loader and write the files of
``glr-shard index``, so that the two cannot disagree.

An epoch order is an int64 array of positions within a split (0 to len(labels) - 1); add the
split's first row to get rows of the samples table. It is a function of the labels, the policy,
the seed and the epoch alone.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

#: Purposes of random streams. Streams of different purposes never share a key.
_SHUFFLE, _CLASS_ORDER, _PHOTO_ORDER, _ROUNDING = range(4)


def generator(seed: int, purpose: int, epoch: int = 0) -> np.random.Generator:
    """A counter-based (Philox) generator that depends on its arguments only."""
    return np.random.Generator(np.random.Philox(key=stream_key(seed, purpose, epoch)))


def stream_key(seed: int, purpose: int, epoch: int = 0) -> np.ndarray:
    """Key of the random stream of a purpose in an epoch. Shape (2,), uint64."""
    return np.random.SeedSequence([seed, purpose, epoch]).generate_state(2, np.uint64)


def natural_share(counts: np.ndarray) -> np.ndarray:
    """Share of an epoch that each class gets as the photos fall. Shape (classes,), sums to 1."""
    return counts / counts.sum()


def balanced_share(counts: np.ndarray) -> np.ndarray:
    """The same share for each class that has photos. Shape (classes,), sums to 1."""
    present = counts > 0
    return present / present.sum()


#: Policy name -> share of an epoch per class, from the photos per class.
POLICIES: dict[str, Callable[[np.ndarray], np.ndarray]] = {
    "natural": natural_share,
    "balanced": balanced_share,
}


def epoch_order(labels: np.ndarray, policy: str, seed: int, epoch: int) -> np.ndarray:
    """The order of one epoch.

    ``natural`` is a permutation: each photo once. Any other policy draws as many photos as the
    split has; each class gets its share to within one photo, and the photos of a class take
    turns, within an epoch and from one epoch to the next, so that their uses differ by at most one.

    Args:
        labels: label of each photo of the split, shape (photos,), integer.
        policy: a name in ``POLICIES``.
        seed: seed of the run.
        epoch: counted from 0.

    Returns:
        Positions in the split, shape (photos,), int64.

    Raises:
        KeyError: unknown policy.
    """
    share_of = POLICIES[policy]
    shuffle = generator(seed, _SHUFFLE, epoch)
    if policy == "natural":
        return shuffle.permutation(len(labels))
    counts = np.bincount(labels)
    quota = len(labels) * share_of(counts)
    drawn = _draw_in_turn(labels, counts, quota, seed, epoch)
    shuffle.shuffle(drawn)
    return drawn


def class_draws(quota: np.ndarray, seed: int, epoch: int) -> np.ndarray:
    """Photos to draw per class in one epoch: each quota rounded up or down, the sum kept.

    Systematic sampling over the classes in a fixed random order, with a fresh offset for each
    epoch: a class of quota 0.3 is drawn in three epochs of ten.

    Args:
        quota: wanted draws per class, shape (classes,), float; its sum is a whole number.

    Returns:
        Draws per class, shape (classes,), int64.
    """
    order = generator(seed, _CLASS_ORDER).permutation(len(quota))
    offset = generator(seed, _ROUNDING, epoch).random()
    total = round(float(quota.sum()))
    edges = np.floor(np.cumsum(quota[order]) + offset).astype(np.int64)
    edges[-1] = total  # the last edge is total + offset, up to float error; offset < 1
    draws = np.empty(len(quota), np.int64)
    draws[order] = np.diff(edges, prepend=0)
    return draws


def _draw_in_turn(
    labels: np.ndarray, counts: np.ndarray, quota: np.ndarray, seed: int, epoch: int
) -> np.ndarray:
    """Positions drawn in one epoch, class by class: each class goes round its photos in a fixed
    random order and goes on where the epoch before it stopped."""
    start = np.zeros(len(counts), np.int64)
    for earlier in range(epoch):
        start += class_draws(quota, seed, earlier)
    draws = class_draws(quota, seed, epoch)

    ring = generator(seed, _PHOTO_ORDER).permutation(len(labels))
    ring = ring[np.argsort(labels[ring], kind="stable")]  # photos by class, shuffled within
    first = np.cumsum(counts) - counts
    label = np.repeat(np.arange(len(counts)), draws)
    turn = np.arange(len(label)) - np.repeat(np.cumsum(draws) - draws, draws)
    return ring[first[label] + (start[label] + turn) % counts[label]]
