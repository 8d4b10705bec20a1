"""Random crops, flips and colours from uniform numbers: pure, vectorised over a batch.

The rarer a class, the stronger: what a class lacks in photos it gets in variety.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from glr_fast.data import crops

_FLIP = crops.DRAWS
_COLOR = slice(_FLIP + 1, _FLIP + 5)
#: torchvision's RandomResizedCrop goes down to this share of the area.
_LEAST_SCALE = 0.08
_LARGEST_HUE = 18.0  # degrees, at strength 1


@dataclass(frozen=True)
class Augmentation:
    """What is drawn at random for a training photo."""

    scale: tuple[float, float] = (0.25, 1.0)
    """Share of the photo's area that a crop covers, least and most."""
    ratio: tuple[float, float] = (3 / 4, 4 / 3)
    """Width over height of a crop, least and most."""
    flip: float = 0.5
    """Probability of a left-right flip."""
    color: float = 0.0
    """Strength of colour changes: brightness, contrast and saturation vary by this share, hue by 18
    degrees times it. 0 leaves colours alone."""
    rare: float = 0.0
    """How much stronger all that gets as a class gets rarer, 0 to 1. At 1, for the rarest class:
    crops down to 0.08 of the area, flips half of the time, colours twice as strong."""

    def draw(
        self, uniforms: np.ndarray, widths: np.ndarray, heights: np.ndarray, rarity: np.ndarray
    ) -> tuple[np.ndarray, np.ndarray, np.ndarray | None]:
        """Crops, flips and colours of some photos.

        Args:
            uniforms: numbers in [0, 1), shape (batch, 29 or more).
            widths: pixels, shape (batch,).
            heights: pixels, shape (batch,).
            rarity: of each photo's class, 0 to 1, shape (batch,).

        Returns:
            Boxes (batch, 4) int32; flips (batch,) bool; brightness, contrast, saturation and hue
            (batch, 4) float32, or None where ``color`` is 0.
        """
        grown = self.rare * rarity
        floor = min(self.scale[0], _LEAST_SCALE)
        least = self.scale[0] + (floor - self.scale[0]) * grown
        draws = uniforms[:, : crops.DRAWS]
        boxes = crops.random_resized_crop(
            draws, widths, heights, (least, self.scale[1]), self.ratio
        )
        flip = self.flip + np.maximum(0.5 - self.flip, 0) * grown
        return boxes, uniforms[:, _FLIP] < flip, self._colors(uniforms[:, _COLOR], grown)

    def _colors(self, uniforms: np.ndarray, grown: np.ndarray) -> np.ndarray | None:
        if not self.color:
            return None
        strength = np.minimum(self.color * (1 + grown), 1)[:, None]
        change = (2 * uniforms - 1) * strength
        colors = np.concatenate([1 + change[:, :3], _LARGEST_HUE * change[:, 3:]], axis=1)
        return colors.astype(np.float32)


def rarity(counts: np.ndarray) -> np.ndarray:
    """How rare each class is: 0 for the largest, 1 for a class of one photo, by logarithm.

    Args:
        counts: photos per class, shape (classes,).

    Returns:
        Shape (classes,), float64; 1 where there is no photo.
    """
    most = np.log(max(int(counts.max()), 2))
    return np.clip(1 - np.log(np.maximum(counts, 1)) / most, 0, 1)
