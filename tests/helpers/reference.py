"""The slow, exact reference: PIL and numpy, one photo at a time, from the same plan.

What every fast backend is compared with. Resampling is PIL's BILINEAR: a triangle filter
stretched by the scale when it shrinks, in other words antialiased linear.
"""

from __future__ import annotations

import io
from collections.abc import Generator, Iterator

import numpy as np
import torch
from PIL import Image

from glr_fast.data.backends.color import color_matrices
from glr_fast.data.plan import BatchPlan
from glr_fast.data.shard_reader import ShardReader


class ReferenceBackend:
    """Turns batch plans into images with PIL: (batch, size, size, 3) uint8 on the CPU."""

    def __init__(self, source: ShardReader, image_size: int) -> None:
        self._reader = source
        self._size = (image_size, image_size)

    def decode(self, plans: Iterator[BatchPlan]) -> Generator[tuple[BatchPlan, torch.Tensor]]:
        """Decode batch after batch. Yields each plan with its images."""
        for plan in plans:
            encoded = self._reader.encoded(plan.rows)
            work = zip(encoded, plan.edits.boxes, plan.edits.flips, strict=True)
            images = np.stack([self._photo(*each) for each in work])
            if plan.edits.colors is not None:
                images = _recolor(images, color_matrices(plan.edits.colors))
            yield plan, torch.from_numpy(images)

    def close(self) -> None:
        """Nothing to free."""

    def _photo(self, encoded: np.ndarray, box: np.ndarray, flip: np.bool_) -> np.ndarray:
        top, left, height, width = (int(x) for x in box)
        photo = Image.open(io.BytesIO(encoded.tobytes())).convert("RGB")
        photo = photo.crop((left, top, left + width, top + height))
        image = np.asarray(photo.resize(self._size, Image.Resampling.BILINEAR))
        return image[:, ::-1].copy() if flip else image


def _recolor(images: np.ndarray, maps: np.ndarray) -> np.ndarray:
    """Colours through one affine map per image: (batch, h, w, 3) uint8 and (batch, 3, 4)."""
    changed = np.einsum("bhwc,bdc->bhwd", images.astype(np.float32), maps[:, :, :3])
    return np.clip(np.rint(changed + maps[:, None, None, :, 3]), 0, 255).astype(np.uint8)
