"""Antialiased resizing with OpenCV, several times as fast as its INTER_AREA and closer to PIL.

An antialiased linear resize by a factor r > 1 is a triangle filter of half-width r: variance
r^2 / 6. OpenCV's INTER_LINEAR looks at two pixels a side whatever r is: variance 1 / 6 on average.
A Gaussian of variance (r^2 - 1) / 6 before it makes up the rest, and OpenCV's fixed-point Gaussian
for 8-bit pixels is fast. Against PIL's antialiased BILINEAR the mean difference is 0.8 of 255
levels on crops of landmarks13 (INTER_AREA: 1.7, plain INTER_LINEAR: 4.0).
"""

from __future__ import annotations

import math

import cv2
import numpy as np

# Below this factor the blur would weigh neighbours by under half a per cent.
_NO_BLUR = 1.03
# Above it a five-pixel Gaussian is cut off: halve exactly first.
_HALVE = 4.0


def resize_antialiased(image: np.ndarray, out: np.ndarray) -> None:
    """Resize an image into a given array.

    Args:
        image: shape (height, width, 3), uint8.
        out: where the result goes, shape (new height, new width, 3), uint8, C-contiguous.
    """
    height, width = out.shape[:2]
    while min(image.shape[0] / height, image.shape[1] / width) >= _HALVE:
        image = _halve(image)
    size_y, sigma_y = _blur(image.shape[0] / height)
    size_x, sigma_x = _blur(image.shape[1] / width)
    if size_x > 1 or size_y > 1:
        image = cv2.GaussianBlur(
            image, (size_x, size_y), sigma_x, sigmaY=sigma_y, borderType=cv2.BORDER_REPLICATE
        )
    cv2.resize(image, (width, height), dst=out, interpolation=cv2.INTER_LINEAR)


def _blur(factor: float) -> tuple[int, float]:
    """Width in pixels and standard deviation of the Gaussian that a factor asks for."""
    if factor <= _NO_BLUR:
        return 1, 1.0
    return (3 if factor <= 1.9 else 5), math.sqrt((factor * factor - 1) / 6)


def _halve(image: np.ndarray) -> np.ndarray:
    """The mean of each 2 x 2 pixels; OpenCV has a fast path for exactly that."""
    height, width = image.shape[0] // 2, image.shape[1] // 2
    even = image[: 2 * height, : 2 * width]
    return cv2.resize(even, (width, height), interpolation=cv2.INTER_AREA)
