"""Small versions of photos for a page."""

from __future__ import annotations

import io
import warnings
from dataclasses import dataclass

from PIL import Image

HEIGHT = 240
"""Pixels: the tiles of the page are 150 high, on screens of up to twice the density."""
_NARROWEST, _WIDEST = 0.56, 2.4
"""Width over height; what is beyond is cut off on both sides."""
_QUALITY = 76


@dataclass(frozen=True)
class Thumbnail:
    """A small version of a photo."""

    data: bytes
    """JPEG."""
    width: int
    """Pixels."""
    height: int
    """Pixels."""


def thumbnail(data: bytes) -> Thumbnail:
    """A small version of an upright photo, of the whole of it unless it is very long.

    Args:
        data: JPEG. One that Pillow cannot decode, though others can, comes out grey.
    """
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of large photos, which were let through already
            small = _small(data)
    except OSError:
        small = Image.new("RGB", (HEIGHT, HEIGHT), (128, 128, 128))
    file = io.BytesIO()
    small.save(file, "JPEG", quality=_QUALITY, optimize=True)
    return Thumbnail(file.getvalue(), *small.size)


def _small(data: bytes) -> Image.Image:
    with Image.open(io.BytesIO(data)) as image:
        width, height = image.size
        kept = min(max(width / height, _NARROWEST), _WIDEST)
        if width / height > kept:
            box = _middle(width, height * kept), (0.0, float(height))
        else:
            box = (0.0, float(width)), _middle(height, width / kept)
        tall = min(HEIGHT, round(box[1][1] - box[1][0])) or 1
        size = max(round(tall * kept), 1), tall
        scale = (box[1][1] - box[1][0]) / tall
        image.draft("RGB", (round(width / scale), round(height / scale)))
        across, down = image.size[0] / width, image.size[1] / height
        picked = (box[0][0] * across, box[1][0] * down, box[0][1] * across, box[1][1] * down)
        return image.convert("RGB").resize(size, Image.Resampling.LANCZOS, box=picked)


def _middle(length: float, kept: float) -> tuple[float, float]:
    """Where the middle part of a length begins and ends."""
    kept = min(kept, length)
    return (length - kept) / 2, (length + kept) / 2
