"""Hashes that differ in few bits, found without comparing all pairs, and the groups they form.

Two 64-bit hashes that differ in at most ``D`` bits agree in at least ``B - D`` of any ``B`` blocks
of bits. So for every choice of ``B - D`` blocks the hashes are sorted by those blocks, and only
neighbours that agree in all of them are compared.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from itertools import combinations, pairwise

import numpy as np

_BITS = 64
_BLOCKS = 9
"""With 6 bits of difference: 84 sorts by 21 bits or so. For 1.58 million hashes that are spread
evenly, each leaves 0.6 million pairs to compare."""
_WINDOW = 256
"""Neighbours compared with each hash in one sort. Where more hashes agree in the chosen blocks, the
rest of the sorted bits has brought the likeliest next to each other, and other choices of blocks
see the others."""

Confirm = Callable[[np.ndarray, np.ndarray], np.ndarray]


def close_pairs(hashes: np.ndarray, distance: int, confirm: Confirm) -> Iterator[np.ndarray]:
    """Pairs of hashes that differ in at most ``distance`` bits and are confirmed.

    Args:
        hashes: shape (N,), uint64.
        distance: the most bits of difference, below 9.
        confirm: given the places of pairs, two of shape (M,), returns which count, (M,) bool.

    Yields:
        Places, shape (pairs, 2), int64, for each choice of blocks; a pair may come several times.
    """
    for order, keys in _sorted_by_blocks(hashes, distance):
        alive = np.flatnonzero(keys[1:] == keys[:-1])
        found = [np.empty((0, 2), np.int64)]
        for lag in range(1, _WINDOW + 1):
            one, two = order[alive], order[alive + lag]
            near = np.bitwise_count(hashes[one] ^ hashes[two]) <= distance
            one, two = one[near], two[near]
            good = confirm(one, two)
            found.append(np.stack([one[good], two[good]], axis=1))
            alive = alive[alive + lag + 1 < len(order)]
            alive = alive[keys[alive] == keys[alive + lag + 1]]
            if not len(alive):
                break
        yield np.concatenate(found)


def _sorted_by_blocks(hashes: np.ndarray, distance: int) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """For each choice of blocks: places in sorted order, and the chosen bits in that order."""
    edges = [_BITS * block // _BLOCKS for block in range(_BLOCKS + 1)]
    widths = [high - low for low, high in pairwise(edges)]
    blocks = [
        (hashes >> np.uint64(low)) & np.uint64((1 << width) - 1)
        for low, width in zip(edges, widths, strict=False)
    ]
    numbers = np.arange(len(hashes), dtype=np.uint64)
    place_bits = max(len(hashes) - 1, 1).bit_length()
    places = np.uint64((1 << place_bits) - 1)
    for chosen in combinations(range(_BLOCKS), _BLOCKS - distance):
        key, rest = np.zeros_like(hashes), 0
        others = [block for block in range(_BLOCKS) if block not in chosen]
        for block in (*chosen, *others):
            key = (key << np.uint64(widths[block])) | blocks[block]
            rest += 0 if block in chosen else widths[block]
        # The lowest bits give way to the place: sorting numbers is many times faster than argsort.
        key = np.sort((key & ~places) | numbers)
        yield (key & places).astype(np.int64), key >> np.uint64(max(rest, place_bits))


def join(root: np.ndarray, pairs: np.ndarray) -> None:
    """Join groups, in place, where pairs of their members belong together.

    Args:
        root: the smallest member of each one's group; at first, each its own. Shape (N,), int64.
        pairs: shape (P, 2), integers below N.
    """
    while len(pairs):
        low, high = root[pairs].min(axis=1), root[pairs].max(axis=1)
        apart = low != high
        if not apart.any():
            break
        pairs = pairs[apart]
        np.minimum.at(root, high[apart], low[apart])
        while (root[root] != root).any():
            root[:] = root[root]
