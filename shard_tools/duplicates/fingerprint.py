"""Fingerprints of photos: equal for equal bytes, close for the same picture encoded otherwise.

The perceptual hash is a pHash: the signs of the lowest frequencies of a small grey picture against
their median. 64 bits of the lowest 8 x 8 find candidates quickly; 256 bits of the lowest 16 x 16
decide. docs/format.md shows what the thresholds are based on.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from PIL import Image

from shard_tools.errors import PhotoError
from shard_tools.photos.decode import MAX_PIXELS, grey
from shard_tools.store.shard import photo_digest

_SIDE = 32
"""Side of the small picture, in pixels."""
_DECODED = 64
"""The shorter side is decoded at a scale that leaves at least this many pixels."""
_FLAT = 3.0
"""Standard deviation (of 0 to 255) below which a picture shows nothing to compare."""
_FAINT = 0.02
"""Frequencies weaker than this many grey levels are rounding, not picture."""
_FEWEST = 128
"""Of 256 frequencies, how many must be stronger than that."""
_COARSE, _FINE = 8, 16
_BASIS = np.array(
    [
        [math.cos(math.pi * (2 * x + 1) * u / (2 * _SIDE)) for x in range(_SIDE)]
        for u in range(_FINE + 1)
    ]
)
"""Lowest frequencies of the cosine transform. Shape (17, 32), float64."""


@dataclass(frozen=True)
class Fingerprint:
    """What is compared of a photo."""

    xxh128: bytes
    """``format.photo_digest`` of the bytes of the file."""
    coarse: int = 0
    """64 bits of perceptual hash."""
    fine: bytes | None = None
    """256 bits of perceptual hash; None where there is none: damaged or flat."""
    pixels: int = 0
    """Width times height; 0 where it cannot be decoded."""
    size: int = 0
    """Bytes of the file."""
    whole: bool = False
    """A strict decoder reads the JPEG to its end, as it is."""


def fingerprint(data: bytes, max_pixels: int = MAX_PIXELS) -> Fingerprint:
    """The fingerprint of a photo file. Damaged ones are compared by their bytes alone."""
    digest = photo_digest(data)
    try:
        picture, pixels, whole = grey(data, _DECODED, max_pixels)
    except PhotoError:
        return Fingerprint(digest, size=len(data))
    hashes = perceptual_hash(picture)
    if hashes is None:
        return Fingerprint(digest, pixels=pixels, size=len(data), whole=whole)
    return Fingerprint(digest, *hashes, pixels, len(data), whole)


def perceptual_hash(picture: Image.Image) -> tuple[int, bytes] | None:
    """64 and 256 bits of a grey picture, None where it shows too little to compare."""
    small = picture.resize((_SIDE, _SIDE), Image.Resampling.BILINEAR)
    values = np.asarray(small, np.float64)
    if values.std() < _FLAT:
        return None
    waves = _BASIS @ values @ _BASIS.T * (2 / _SIDE**2)
    coarse, fine = _lowest(waves, _COARSE), _lowest(waves, _FINE)
    if (np.abs(fine) > _FAINT).sum() < _FEWEST:
        return None
    bits = np.packbits(coarse > np.median(coarse))
    return int.from_bytes(bits.tobytes(), "big"), np.packbits(fine > np.median(fine)).tobytes()


def _lowest(waves: np.ndarray, side: int) -> np.ndarray:
    """The lowest side x side frequencies, the mean replaced by one more. Shape (side**2,)."""
    lowest = waves[:side, :side].ravel().copy()
    lowest[0] = waves[side, 0]
    return lowest
