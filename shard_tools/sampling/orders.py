"""Epoch orders: which photo of a split comes at which place of an epoch.

Pure numpy. The same functions drive the training loader and write the files of
``glr-shard index``, so that the two cannot disagree.

An epoch order is an int64 array of positions within a split (0 to len(labels) - 1); add the
split's first row to get rows of the samples table. It is a function of the labels, the policy,
the seed and the epoch alone.
"""

from __future__ import annotations

from enum import IntEnum

import numpy as np

from shard_tools.sampling.policies import parse_policy, policy_at


class Stream(IntEnum):
    """The purposes of random streams; those of different purposes never share a key."""

    SHUFFLE = 0
    CLASS_ORDER = 1
    PHOTO_ORDER = 2
    ROUNDING = 3
    WINDOW = 4
    AUGMENT = 16


def generator(seed: int, purpose: Stream, epoch: int = 0) -> np.random.Generator:
    """A counter-based (Philox) generator that depends on its arguments only."""
    return np.random.Generator(np.random.Philox(key=stream_key(seed, purpose, epoch)))


def stream_key(seed: int, purpose: Stream, epoch: int = 0) -> np.ndarray:
    """Key of the random stream of a purpose in an epoch. Shape (2,), uint64."""
    return np.random.SeedSequence([seed, purpose, epoch]).generate_state(2, np.uint64)


def epoch_order(labels: np.ndarray, policy: str, seed: int, epoch: int) -> np.ndarray:
    """The order of one epoch.

    ``natural`` is a permutation: each photo once. Any other policy draws as many photos as the
    split has; each class gets its share to within one photo, and the photos of a class take
    turns, within an epoch and from one epoch to the next, so that their uses differ by at most one.

    Args:
        labels: label of each photo of the split, shape (photos,), integer.
        policy: a policy or a schedule, as ``policies`` describes.
        seed: seed of the run.
        epoch: counted from 0.

    Returns:
        Positions in the split, shape (photos,), int64.

    Raises:
        StoreError: a policy that cannot be parsed.
    """
    now = policy_at(policy, epoch)
    shuffle = generator(seed, Stream.SHUFFLE, epoch)
    if now.name == "natural":
        return shuffle.permutation(len(labels))
    counts = np.bincount(labels)
    since = max(first for first, _ in parse_policy(policy) if first <= epoch)
    drawn = _draw_in_turn(labels, counts, len(labels) * now.share(counts), seed, since, epoch)
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
    order = generator(seed, Stream.CLASS_ORDER).permutation(len(quota))
    offset = generator(seed, Stream.ROUNDING, epoch).random()
    total = round(float(quota.sum()))
    edges = np.floor(np.cumsum(quota[order]) + offset).astype(np.int64)
    edges[-1] = total  # the last edge is total + offset, up to float error; offset < 1
    draws = np.empty(len(quota), np.int64)
    draws[order] = np.diff(edges, prepend=0)
    return draws


def _draw_in_turn(
    labels: np.ndarray, counts: np.ndarray, quota: np.ndarray, seed: int, since: int, epoch: int
) -> np.ndarray:
    """Positions drawn in one epoch, class by class: each class goes round its photos in a fixed
    random order and goes on where the epoch before it stopped (the first being ``since``)."""
    start = np.zeros(len(counts), np.int64)
    for earlier in range(since, epoch):
        start += class_draws(quota, seed, earlier)
    draws = class_draws(quota, seed, epoch)

    ring = generator(seed, Stream.PHOTO_ORDER).permutation(len(labels))
    ring = ring[np.argsort(labels[ring], kind="stable")]  # photos by class, shuffled within
    first = np.cumsum(counts) - counts
    label = np.repeat(np.arange(len(counts)), draws)
    turn = np.arange(len(label)) - np.repeat(np.cumsum(draws) - draws, draws)
    return ring[first[label] + (start[label] + turn) % counts[label]]


def windowed(
    order: np.ndarray, shard: np.ndarray, window: int, seed: int, epoch: int
) -> np.ndarray:
    """The same draws in an order that reads few shards at a time.

    The shards are shuffled; the photos of each ``window`` consecutive ones are shuffled together,
    and one such window follows the other: at any time ``window`` shards are read, each once.

    Args:
        order: positions in the split, shape (photos,), from :func:`epoch_order`.
        shard: number of the shard of each photo of the split, shape (photos,), integer.
        window: shards that are mixed at a time; as many as there are gives a global shuffle.
        seed: seed of the run.
        epoch: counted from 0.

    Returns:
        The entries of ``order`` in another order, same shape, int64.
    """
    random = generator(seed, Stream.WINDOW, epoch)
    place = random.permutation(int(shard.max()) + 1)
    group = place[shard[order]] // window
    # ``order`` is shuffled already: a stable sort by group leaves each group shuffled.
    return order[np.argsort(group, kind="stable")]
