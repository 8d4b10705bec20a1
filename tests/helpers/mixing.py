"""How well an order mixes the shards."""

from __future__ import annotations

import numpy as np


def mixing(order: np.ndarray, shard: np.ndarray) -> float:
    """How well an order mixes the shards: 1 for a global shuffle, 1 / shards for one by one.

    The spread (standard deviation) of the places that a shard's photos take in the order, over that
    of a uniform shuffle, averaged over the photos: the share of an epoch that a shard's photos are
    spread over.

    Args:
        order: positions in the split, shape (photos,).
        shard: number of the shard of each photo of the split, shape (photos,), integer.
    """
    which, place = shard[order], np.arange(len(order), dtype=float)
    count = np.bincount(which)
    mean = np.bincount(which, place) / np.maximum(count, 1)
    spread = np.sqrt(np.bincount(which, (place - mean[which]) ** 2) / np.maximum(count, 1))
    uniform = np.sqrt((len(order) ** 2 - 1) / 12)
    return float((spread * count).sum() / len(order) / max(uniform, 1e-9))
