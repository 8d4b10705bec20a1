"""Stable keyed hashes of strings, vectorised: what makes a build independent of row order.

Splits and shuffles sort by these hashes instead of drawing from a random generator, so that a
photo's place depends on its key and the seed alone, not on the order in which a disk lists files.
"""

from __future__ import annotations

import hashlib

import numpy as np
import pyarrow as pa

_GOLDEN = np.uint64(0x9E3779B97F4A7C15)
_CHUNK = 1_000_000


def hash_strings(strings: pa.ChunkedArray | pa.Array, seed: int, purpose: str) -> np.ndarray:
    """A 64-bit hash of every string; other seeds and purposes give unrelated hashes.

    Returns:
        Shape (len(strings),), uint64. The values are part of what "same seed, same store" means:
        they never change between versions of this program.
    """
    start = hashlib.blake2b(f"{purpose}:{seed}".encode(), digest_size=8).digest()
    state = np.frombuffer(start, "<u8")[0]
    chunks = strings.chunks if isinstance(strings, pa.ChunkedArray) else [strings]
    parts = [
        _hash_array(chunk.slice(at, _CHUNK).cast(pa.large_string()), state)
        for chunk in chunks
        for at in range(0, len(chunk), _CHUNK)
    ]
    return np.concatenate(parts) if parts else np.empty(0, np.uint64)


def uniform_integers(hashes: np.ndarray, below: int) -> np.ndarray:
    """Hashes as integers in ``[0, below)``, for ``below`` up to 2**31. Shape kept, int64."""
    return ((hashes >> np.uint64(32)).astype(np.int64) * below) >> 32


def _hash_array(array: pa.Array, state: np.uint64) -> np.ndarray:
    _, offsets_buffer, data_buffer = array.buffers()
    offsets = np.frombuffer(offsets_buffer, "<i8")[array.offset : array.offset + len(array) + 1]
    first, last = int(offsets[0]), int(offsets[-1])
    data = np.zeros(last - first + 8, np.uint8)  # the last word may reach past the end
    if last > first:
        data[:-8] = np.frombuffer(data_buffer, np.uint8)[first:last]
    # Every byte position as the start of a little-endian word, without a copy.
    words = np.ndarray((len(data) - 7,), "<u8", buffer=data, strides=(1,))
    starts, lengths = offsets[:-1] - first, np.diff(offsets)
    hashes = _mix(state ^ (lengths.astype(np.uint64) * _GOLDEN))
    for at in range(0, int(lengths.max(initial=0)), 8):
        rows = np.flatnonzero(lengths > at)
        left = np.minimum(lengths[rows] - at, 8).astype(np.uint64)
        mask = np.uint64(2**64 - 1) >> (np.uint64(64) - left * np.uint64(8))
        hashes[rows] = _mix((hashes[rows] ^ (words[starts[rows] + at] & mask)) + _GOLDEN)
    return hashes


def _mix(x: np.ndarray) -> np.ndarray:
    """The finaliser of splitmix64."""
    x = (x ^ (x >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    x = (x ^ (x >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return x ^ (x >> np.uint64(31))
