"""Keyed hashes of strings, stable for ever: what makes a build independent of row order.

Splits and shuffles sort by these hashes instead of drawing from a random generator, so a photo's
place depends on its key and the seed alone, not on the order in which a disk lists files.
"""

from __future__ import annotations

import hashlib

import numpy as np
import pyarrow as pa
import xxhash

_CHUNK = 1_000_000
"""Strings that exist as Python objects at a time."""


def hash_strings(strings: pa.ChunkedArray | pa.Array, seed: int, purpose: str) -> np.ndarray:
    """A 64-bit hash of every string; other seeds and purposes give unrelated hashes.

    It is XXH3 of the UTF-8 bytes, seeded with BLAKE2b of purpose and seed.

    Returns:
        Shape (len(strings),), uint64. The values are part of what "same seed, same store" means:
        they never change within a version of the store's format.
    """
    start = hashlib.blake2b(f"{purpose}:{seed}".encode(), digest_size=8).digest()
    state = int.from_bytes(start, "little")
    hashes = np.empty(len(strings), np.uint64)
    for at in range(0, len(strings), _CHUNK):
        texts = strings.slice(at, _CHUNK).cast(pa.large_binary()).to_pylist()
        hashes[at : at + len(texts)] = [xxhash.xxh3_64_intdigest(text, state) for text in texts]
    return hashes


def uniform_integers(hashes: np.ndarray, below: int) -> np.ndarray:
    """Hashes as integers in ``[0, below)``, for ``below`` up to 2**31. Shape kept, int64."""
    return ((hashes >> np.uint64(32)).astype(np.int64) * below) >> 32
