"""Erases rectangles from a batch of images, on whatever device they are."""

from __future__ import annotations

import numpy as np
import torch

from glr_fast.data.normalisation import IMAGENET_MEAN

#: What an erased pixel becomes: the mean colour, which normalisation maps to about 0.
_FILL = [round(255 * mean) for mean in IMAGENET_MEAN]


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
    edges = torch.from_numpy(rectangles).to(images.device, non_blocking=True)
    rows = _inside(height, edges[:, 0:1], edges[:, 2:3])
    columns = _inside(width, edges[:, 1:2], edges[:, 3:4])
    gone = rows[:, :, None, None] & columns[:, None, :, None]
    fill = torch.tensor(_FILL, dtype=torch.uint8).to(images.device, non_blocking=True)
    return torch.where(gone, fill, images)


def _inside(pixels: int, start: torch.Tensor, length: torch.Tensor) -> torch.Tensor:
    """Which pixels of a side are inside. Shape (batch, pixels), bool."""
    centres = (torch.arange(pixels, device=start.device) + 0.5) / pixels
    return (centres >= start) & (centres < start + length)
