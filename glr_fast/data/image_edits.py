"""Edits of finished images: applied once to a batch, so that no backend needs to know of them.

They work on whatever device the images are on.
"""

from __future__ import annotations

from functools import lru_cache

import numpy as np
import torch

from glr_fast.data.augment import Edits
from glr_fast.data.normalisation import IMAGENET_MEAN
from glr_fast.data.upload import upload

#: What an erased pixel becomes: the mean colour, which normalisation maps to about 0.
_FILL = [round(255 * mean) for mean in IMAGENET_MEAN]


def edit_images(images: torch.Tensor, edits: Edits) -> torch.Tensor:
    """The images after every edit that is not a backend's business.

    Args:
        images: what a backend returned, shape (batch, height, width, 3), uint8.
        edits: those of the batch.

    Returns:
        Shape and device of ``images``; the same tensor where there is nothing to do.
    """
    if edits.erased is not None:
        images = erase(images, edits.erased)
    return images


def erase(images: torch.Tensor, rectangles: np.ndarray) -> torch.Tensor:
    """The images without some rectangles. One pass over the batch, the same on every device.

    Args:
        images: shape (batch, height, width, 3), uint8.
        rectangles: top, left, height, width as shares of the side, height 0 for none. A pixel is
            erased where its centre is inside. Shape (batch, 4), float32.

    Returns:
        New images, shape and device of ``images``.
    """
    _, height, width, _ = images.shape
    edges = upload(rectangles, images.device)
    rows = _inside(height, edges[:, 0:1], edges[:, 2:3])
    columns = _inside(width, edges[:, 1:2], edges[:, 3:4])
    gone = rows[:, :, None, None] & columns[:, None, :, None]
    return torch.where(gone, _fill(images.device), images)


@lru_cache(maxsize=8)
def _fill(device: torch.device) -> torch.Tensor:
    """The colour of erased pixels, put on the device once. Shape (3,), uint8."""
    with torch.inference_mode(False):  # it outlives the block that asks for it first
        return torch.tensor(_FILL, dtype=torch.uint8, device=device)


def _inside(pixels: int, start: torch.Tensor, length: torch.Tensor) -> torch.Tensor:
    """Which pixels of a side are inside. Shape (batch, pixels), bool."""
    centres = (torch.arange(pixels, device=start.device) + 0.5) / pixels
    return (centres >= start) & (centres < start + length)
