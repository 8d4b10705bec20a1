"""Mixup and CutMix: a batch is mixed with itself in reverse, and so are the losses of its labels.

Mixup (Zhang et al., ICLR 2018, arXiv:1710.09412) adds two photos; CutMix (Yun et al., ICCV 2019,
arXiv:1905.04899) pastes a box of one into the other. Both mix the labels by the same share lam. For
cross-entropy that equals ``lam L(z, y) + (1 - lam) L(z, y')``, which needs no matrix of batch x
81,313 soft labels and is defined for every loss here, margins and class weights included.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from torch import Tensor

from glr_fast.config import MixConfig

#: Told apart from the seed of a step's dropout, which torch's generator gets.
_PURPOSE = 1


@dataclass(frozen=True)
class Mixed:
    """A batch after mixing."""

    images: Tensor
    """Shape (batch, 3, height, width), float32."""
    labels: Tensor
    """Of the photos themselves. Shape (batch,), int64."""
    others: Tensor | None
    """Of the photos that were mixed in; None where nothing was. Shape (batch,), int64."""
    share: float = 1.0
    """lam, the share of the photos themselves."""

    @property
    def main_labels(self) -> Tensor:
        """Of the photo with the larger share, by which training accuracy is counted."""
        return self.labels if self.others is None or self.share >= 0.5 else self.others

    def loss(self, of: Callable[[Tensor], Tensor]) -> Tensor:
        """The loss of the batch.

        Args:
            of: labels (batch,) to the mean loss, a scalar.
        """
        if self.others is None:
            return of(self.labels)
        return self.share * of(self.labels) + (1 - self.share) * of(self.others)


def mix(config: MixConfig, images: Tensor, labels: Tensor, seed: int) -> Mixed:
    """Mix a batch as configured, by random numbers of the seed alone.

    With both methods on, a coin decides for each batch, as in timm.

    Args:
        config: the strength of each method.
        images: normalised. Shape (batch, 3, height, width), float32; CutMix writes into it.
        labels: shape (batch,), int64.
        seed: of the step and the process, which mixes its own part of the global batch.
    """
    if config.mixup == 0 and config.cutmix == 0:
        return Mixed(images, labels, None)
    random = np.random.default_rng((_PURPOSE, seed))
    cuts = config.cutmix > 0 and (config.mixup == 0 or random.random() < 0.5)
    alpha = config.cutmix if cuts else config.mixup
    share = float(random.beta(alpha, alpha))
    if cuts:
        height, width = images.shape[-2:]
        top, bottom, left, right = box(height, width, share, random.random(), random.random())
        cut = (slice(None), slice(None), slice(top, bottom), slice(left, right))
        images[cut] = images[cut].flip(0)
        share = 1 - (bottom - top) * (right - left) / (height * width)
    else:
        images = images.flip(0).lerp_(images, share)
    return Mixed(images, labels, labels.flip(0), share)


def box(height: int, width: int, share: float, y: float, x: float) -> tuple[int, int, int, int]:
    """The box of CutMix: ``1 - share`` of the image in its proportions, cut off at the borders.

    Args:
        height: of the image, in pixels.
        width: of the image, in pixels.
        share: of the image that is to stay, from 0 to 1.
        y: centre of the box as a share of the height, from 0 to below 1.
        x: centre of the box as a share of the width, from 0 to below 1.

    Returns:
        Top, bottom, left, right; bottom and right are the first pixels beyond.
    """
    side = (1 - share) ** 0.5
    spans = []
    for length, place in ((height, y), (width, x)):
        half, centre = round(length * side) // 2, int(place * length)
        spans += [max(0, centre - half), min(length, centre + half)]
    top, bottom, left, right = spans
    return top, bottom, left, right
