"""Losses for long-tailed classes: cross-entropy and LDAM, with deferred re-weighting.

Both take logits (B, C) of any float type and labels (B,) int64, compute in float32 whatever the
autocast, and return the mean over the batch as a float32 scalar. Class counts come as a tensor:
nothing here opens a file.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from glr_fast.config import LossConfig
from glr_fast.errors import ConfigError


class CrossEntropy(nn.Module):
    """``L = -log softmax(s z)_y``, with label smoothing."""

    def __init__(self, scale: float = 1.0, label_smoothing: float = 0.0) -> None:
        super().__init__()
        self.scale = scale
        self.label_smoothing = label_smoothing

    def forward(self, logits: Tensor, labels: Tensor, weights: Tensor | None = None) -> Tensor:
        """Mean loss over the batch.

        Args:
            logits: (B, C), any float type.
            labels: (B,) int64.
            weights: of the classes, (C,) float32, or None for weights of 1.

        Returns:
            Float32 scalar.
        """
        scaled = logits.float() if self.scale == 1 else logits.float() * self.scale
        return _mean_cross_entropy(scaled, labels, self.label_smoothing, weights)


class LDAM(nn.Module):
    """Label-distribution-aware margins (Cao et al., NeurIPS 2019, equations 12 and 13).

    ``L = -log( e^(z_y - D_y) / (e^(z_y - D_y) + sum_{j != y} e^(z_j)) )``, ``D_j = C / n_j^(1/4)``

    with n_j the training photos of class j. The standard form is ``scale`` 1 on a linear head;
    the authors' code is ``scale`` 30 on a cosine head, where z and D are both multiplied by s.
    Label smoothing, if any, applies to the shifted logits.
    """

    margins: Tensor

    def __init__(
        self,
        class_counts: Tensor,
        max_margin: float = 0.5,
        constant: float | None = None,
        scale: float = 1.0,
        label_smoothing: float = 0.0,
    ) -> None:
        super().__init__()
        self.scale = scale
        self.label_smoothing = label_smoothing
        self.register_buffer("margins", ldam_margins(class_counts, max_margin, constant))

    def forward(self, logits: Tensor, labels: Tensor, weights: Tensor | None = None) -> Tensor:
        """Mean loss over the batch; arguments as in ``CrossEntropy.forward``."""
        # Always a fresh tensor: the margin is subtracted in place, at the target only.
        shifted = logits.float() * self.scale
        margins = self.margins[labels] * -self.scale
        shifted.scatter_add_(1, labels[:, None], margins[:, None])
        return _mean_cross_entropy(shifted, labels, self.label_smoothing, weights)


def ldam_margins(
    class_counts: Tensor, max_margin: float = 0.5, constant: float | None = None
) -> Tensor:
    """``D_j = C / n_j^(1/4)``, shape (C,), float32.

    ``constant`` is C; without it C makes the largest margin ``max_margin``. A class without
    training photos is never a target in training; it gets the largest margin, not infinity.

    Args:
        class_counts: (C,) training photos per class.
        max_margin: margin of the rarest class, in logits.
        constant: C, in logits.
    """
    counts = class_counts.double()
    inverse = counts.clamp(min=1).pow(-0.25)
    seen = inverse[counts > 0]
    largest = seen.max() if len(seen) else inverse.max()
    inverse = torch.where(counts > 0, inverse, largest)
    factor = max_margin / largest if constant is None else constant
    return (factor * inverse).float()


def effective_number_weights(class_counts: Tensor, beta: float = 0.9999) -> Tensor:
    """Class weights for deferred re-weighting, shape (C,), float32.

    Proportional to ``(1 - beta) / (1 - beta^n_j)`` (Cui et al., CVPR 2019, equation 12). The
    authors divide each batch's loss by the weights of its photos, which differ from process to
    process; here the weights are scaled so that their mean over the training photos is 1. A class
    without training photos has weight 0.
    """
    counts = class_counts.double()
    weights = torch.zeros_like(counts)
    seen = counts > 0
    weights[seen] = (1 - beta) / (1 - beta ** counts[seen])
    return (weights * counts.sum() / (weights * counts).sum()).float()


def build_loss(config: LossConfig, class_counts: Tensor, scale: float) -> CrossEntropy | LDAM:
    """The loss that a configuration names.

    Args:
        config: the loss options.
        class_counts: (C,) training photos per class.
        scale: factor s on the logits (``Config.logit_scale``).

    Raises:
        ConfigError: unknown loss.
    """
    if config.name == "ce":
        return CrossEntropy(scale, config.label_smoothing)
    if config.name == "ldam":
        return LDAM(
            class_counts, config.max_margin, config.margin_constant, scale, config.label_smoothing
        )
    raise ConfigError(f"unknown loss {config.name!r}; there are ce and ldam")


def _mean_cross_entropy(
    logits: Tensor, labels: Tensor, smoothing: float, class_weights: Tensor | None
) -> Tensor:
    if class_weights is None:
        return F.cross_entropy(logits, labels, label_smoothing=smoothing)
    losses = F.cross_entropy(logits, labels, reduction="none", label_smoothing=smoothing)
    return (losses * class_weights[labels]).mean()
