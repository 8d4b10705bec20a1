"""What is done to a photo: crops, flips, colours and erased rectangles, from uniform numbers.

Pure numpy, vectorised over a batch. The rarer a class, the stronger: what a class lacks in photos
it gets in variety. A new edit is a field of :class:`Edits`, its draw in :class:`Augmentation`, and
the code that applies it.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from glr_fast.data import crops
from glr_fast.loader_options import LoaderOptions

#: Which of a photo's uniform numbers belong to what; each edit has its own, so that switching one
#: on leaves the others as they are.
_FLIP = crops.DRAWS
_COLOR = slice(_FLIP + 1, _FLIP + 5)
_ERASE = slice(_FLIP + 5, _FLIP + 10)
DRAWS = _FLIP + 10
"""Uniform numbers that the edits of one photo take."""
#: torchvision's RandomResizedCrop goes down to this share of the area.
_LEAST_SCALE = 0.08
_LARGEST_HUE = 18.0  # degrees, at strength 1
#: Erased rectangles: share of the image's area, and height over width (Zhong et al. 2020).
_ERASED_AREA = (0.02, 0.33)
_ERASED_ASPECT = (0.3, 3.3)


@dataclass(frozen=True)
class Edits:
    """What is done to the photos of a batch, in this order."""

    boxes: np.ndarray
    """Crops in pixels of the photo: top, left, height, width. Shape (batch, 4), int32."""
    flips: np.ndarray
    """Left-right flip of each image after its crop. Shape (batch,), bool."""
    colors: np.ndarray | None = None
    """Brightness, contrast, saturation factors and hue in degrees, as ``backends.color`` defines
    them. Shape (batch, 4), float32; None where colours stay."""
    erased: np.ndarray | None = None
    """Rectangles that are erased from the finished image: top, left, height, width as shares of its
    side, height 0 for none. Shape (batch, 4), float32; None where nothing is erased."""


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
    """How much stronger crops, flips and colours get as a class gets rarer, 0 to 1. At 1, for the
    rarest class: crops down to 0.08 of the area, flips half of the time, colours twice as
    strong."""
    erase: float = 0.0
    """Probability that a random rectangle of the image is erased."""

    @classmethod
    def of(cls, options: LoaderOptions) -> Augmentation:
        """The augmentation that a loader's options ask for."""
        return cls(
            scale=(options.crop_scale, 1.0),
            flip=options.flip,
            color=options.color,
            rare=options.rare,
            erase=options.erase,
        )

    def draw(
        self, uniforms: np.ndarray, widths: np.ndarray, heights: np.ndarray, rarity: np.ndarray
    ) -> Edits:
        """The edits of some photos.

        Args:
            uniforms: numbers in [0, 1), shape (batch, ``DRAWS`` or more).
            widths: pixels, shape (batch,).
            heights: pixels, shape (batch,).
            rarity: of each photo's class, 0 to 1, shape (batch,).
        """
        grown = self.rare * rarity
        floor = min(self.scale[0], _LEAST_SCALE)
        least = self.scale[0] + (floor - self.scale[0]) * grown
        draws = uniforms[:, : crops.DRAWS]
        boxes = crops.random_resized_crop(
            draws, widths, heights, (least, self.scale[1]), self.ratio
        )
        flip = self.flip + np.maximum(0.5 - self.flip, 0) * grown
        return Edits(
            boxes,
            uniforms[:, _FLIP] < flip,
            self._colors(uniforms[:, _COLOR], grown) if self.color else None,
            erased_rectangles(uniforms[:, _ERASE], self.erase) if self.erase else None,
        )

    def _colors(self, uniforms: np.ndarray, grown: np.ndarray) -> np.ndarray:
        strength = np.minimum(self.color * (1 + grown), 1)[:, None]
        change = (2 * uniforms - 1) * strength
        colors = np.concatenate([1 + change[:, :3], _LARGEST_HUE * change[:, 3:]], axis=1)
        return colors.astype(np.float32)


def erased_rectangles(uniforms: np.ndarray, probability: float) -> np.ndarray:
    """Rectangles for random erasing (Zhong et al. 2020).

    The area is uniform, the logarithm of height over width is uniform, and so is the place. A
    rectangle longer than the image (possible at the largest area and the most extreme aspect alone)
    is cut to it.

    Args:
        uniforms: numbers in [0, 1), shape (batch, 5).
        probability: that an image loses a rectangle.

    Returns:
        Top, left, height, width as shares of the image's side; all 0 where nothing is erased. Shape
        (batch, 4), float32.
    """
    chosen, area, aspect, top, left = uniforms.T
    area = _ERASED_AREA[0] + (_ERASED_AREA[1] - _ERASED_AREA[0]) * area
    low, high = np.log(_ERASED_ASPECT)
    aspect = np.exp(low + (high - low) * aspect)
    height, width = np.minimum(np.sqrt([area * aspect, area / aspect]), 1)
    boxes = np.stack([top * (1 - height), left * (1 - width), height, width], axis=1)
    return (boxes * (chosen < probability)[:, None]).astype(np.float32)


def rarity(counts: np.ndarray) -> np.ndarray:
    """How rare each class is: 0 for the largest, 1 for a class of one photo, by logarithm.

    Args:
        counts: photos per class, shape (classes,).

    Returns:
        Shape (classes,), float64; 1 where there is no photo.
    """
    most = np.log(max(int(counts.max()), 2))
    return np.clip(1 - np.log(np.maximum(counts, 1)) / most, 0, 1)
