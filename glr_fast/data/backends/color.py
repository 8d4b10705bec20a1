"""Colour changes as one affine map per photo: what DALI's ``color_twist`` does.

Saturation and hue are a scaling and a rotation of the two chroma axes of YIQ; contrast stretches
about mid-grey 128; brightness scales. ``out = M (r, g, b) + t`` in one go, so that the other
backends and the reference need one matrix product.
"""

from __future__ import annotations

import numpy as np

_TO_YIQ = np.array([[0.299, 0.587, 0.114], [0.596, -0.274, -0.321], [0.211, -0.523, 0.311]])
_TO_RGB = np.array([[1, 0.956, 0.621], [1, -0.272, -0.647], [1, -1.107, 1.705]])
_MID_GREY = 128.0


def color_matrices(colors: np.ndarray) -> np.ndarray:
    """The affine colour maps of some photos.

    Args:
        colors: brightness, contrast, saturation factors, hue in degrees. Shape (batch, 4).

    Returns:
        ``[M | t]`` for RGB in 0..255. Shape (batch, 3, 4), float32.
    """
    brightness, contrast, saturation, hue = colors.astype(np.float64).T
    cos, sin = np.cos(np.radians(hue)) * saturation, np.sin(np.radians(hue)) * saturation
    chroma = np.zeros((len(colors), 3, 3))
    chroma[:, 0, 0] = 1
    chroma[:, 1, 1], chroma[:, 1, 2] = cos, sin
    chroma[:, 2, 1], chroma[:, 2, 2] = -sin, cos
    matrix = _TO_RGB @ chroma @ _TO_YIQ * (brightness * contrast)[:, None, None]
    shift = (_MID_GREY * (1 - contrast) * brightness)[:, None, None]
    return np.concatenate([matrix, np.broadcast_to(shift, (len(colors), 3, 1))], axis=2).astype(
        np.float32
    )
