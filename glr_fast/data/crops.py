"""Crop boxes from uniform numbers: pure, vectorised over a batch.

A box is (top, left, height, width) in whole pixels and lies inside the photo.
"""

from __future__ import annotations

import numpy as np

TRIES = 10
#: Uniform numbers that one random crop takes: area and ratio of each try, then the place.
DRAWS = 2 * TRIES + 2


def random_resized_crop(
    uniforms: np.ndarray,
    widths: np.ndarray,
    heights: np.ndarray,
    scale: tuple[float | np.ndarray, float],
    ratio: tuple[float, float],
) -> np.ndarray:
    """Crops of random area, ratio and place: torchvision's ``RandomResizedCrop``, per photo.

    Area is uniform in ``scale``, the logarithm of width over height uniform in ``ratio``; the first
    of ten tries that fits is taken, else the largest centred crop whose ratio is within bounds.

    Args:
        uniforms: numbers in [0, 1), shape (batch, DRAWS).
        widths: pixels, shape (batch,).
        heights: pixels, shape (batch,).
        scale: least and most share of the area; the least may differ by photo, shape (batch,).
        ratio: least and most width over height.

    Returns:
        Boxes, shape (batch, 4), int32.
    """
    tries = uniforms[:, : 2 * TRIES].reshape(-1, TRIES, 2)
    least, most = np.reshape(scale[0], (-1, 1)), scale[1]
    area = (widths * heights)[:, None] * (least + (most - least) * tries[..., 0])
    low, high = np.log(ratio[0]), np.log(ratio[1])
    aspect = np.exp(low + (high - low) * tries[..., 1])
    width = np.rint(np.sqrt(area * aspect)).astype(np.int64)
    height = np.rint(np.sqrt(area / aspect)).astype(np.int64)
    fits = (width > 0) & (width <= widths[:, None]) & (height > 0) & (height <= heights[:, None])

    each, first = np.arange(len(widths)), fits.argmax(axis=1)
    width, height = width[each, first], height[each, first]
    top = np.floor(uniforms[:, -2] * (heights - height + 1)).astype(np.int64)
    left = np.floor(uniforms[:, -1] * (widths - width + 1)).astype(np.int64)
    boxes = np.stack([top, left, height, width], axis=1)
    return np.where(fits.any(axis=1)[:, None], boxes, _fallback(widths, heights, ratio)).astype(
        np.int32
    )


def _fallback(widths: np.ndarray, heights: np.ndarray, ratio: tuple[float, float]) -> np.ndarray:
    """The largest centred crop whose width over height is within ``ratio``. Shape (batch, 4)."""
    width = np.clip(np.minimum(widths, np.rint(heights * ratio[1])), 1, None).astype(np.int64)
    height = np.clip(np.minimum(heights, np.rint(widths / ratio[0])), 1, None).astype(np.int64)
    return np.stack([(heights - height) // 2, (widths - width) // 2, height, width], axis=1)


def centre_crop(widths: np.ndarray, heights: np.ndarray, share: float) -> np.ndarray:
    """The centred square whose side is ``share`` of the photo's shorter side.

    Cropping it and resizing to 224 does what "resize the shorter side to 256, centre crop 224" does
    for ``share`` 0.875, to within the rounding of the box to whole pixels.

    Returns:
        Boxes, shape (batch, 4), int32.
    """
    side = np.maximum(np.rint(np.minimum(widths, heights) * share), 1).astype(np.int64)
    return np.stack([(heights - side) // 2, (widths - side) // 2, side, side], axis=1).astype(
        np.int32
    )
