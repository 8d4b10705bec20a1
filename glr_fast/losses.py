"""Losses for long-tailed classes: cross-entropy, LDAM, logit adjustment and ArcFace.

All take logits (B, C) of any float type and labels (B,) int64, compute in float32 whatever the
autocast, and return the mean over the batch as a float32 scalar. Deferred re-weighting works with
each of them. Class counts come as a tensor: nothing here opens a file.

Some heads have multiplied their features by the scale s already (``glr_fast/heads.py``), which
touches B x F numbers and not B x C. ``scaled`` tells a loss how far; it applies the rest.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from contextlib import contextmanager

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from glr_fast.errors import ConfigError
from glr_fast.model_config import LossConfig


class CrossEntropy(nn.Module):
    """``L = -log softmax(s z)_y``, with label smoothing.

    Args:
        scale: s.
        label_smoothing: share of the target probability that is spread over all classes.
        scaled: factor by which the logits that come in have been multiplied already.
    """

    def __init__(
        self, scale: float = 1.0, label_smoothing: float = 0.0, scaled: float = 1.0
    ) -> None:
        super().__init__()
        self.scale = scale
        self.label_smoothing = label_smoothing
        self.scaled = scaled

    def forward(self, logits: Tensor, labels: Tensor, weights: Tensor | None = None) -> Tensor:
        """Mean loss over the batch.

        Args:
            logits: (B, C), any float type.
            labels: (B,) int64.
            weights: of the classes, (C,) float32, or None for weights of 1.

        Returns:
            Float32 scalar.
        """
        return self._mean(self._scaled_logits(logits), labels, weights)

    def _scaled_logits(self, logits: Tensor) -> Tensor:
        """``s z`` in float32; the tensor itself where nothing is to be done."""
        return logits.float() if self.scale == self.scaled else logits.float() * self._rest

    @property
    def _rest(self) -> float:
        return self.scale / self.scaled

    def _mean(self, logits: Tensor, labels: Tensor, weights: Tensor | None) -> Tensor:
        if weights is None:
            return F.cross_entropy(logits, labels, label_smoothing=self.label_smoothing)
        losses = F.cross_entropy(
            logits, labels, reduction="none", label_smoothing=self.label_smoothing
        )
        return (losses * weights[labels]).mean()


class LDAM(CrossEntropy):
    """Label-distribution-aware margins (Cao et al., NeurIPS 2019, equations 12 and 13).

    ``L = -log( e^(z_y - D_y) / (e^(z_y - D_y) + sum_{j != y} e^(z_j)) )``, ``D_j = C / n_j^(1/4)``

    with n_j the training photos of class j. The standard form is ``scale`` 1 on a linear head;
    the authors' code is ``scale`` 30 on a cosine head, where z and D are both multiplied by s.
    Label smoothing, if any, applies to the shifted logits.

    Args:
        class_counts: (C,) training photos per class.
        max_margin: margin of the rarest class.
        constant: C, in place of ``max_margin``.
        scale: s.
        label_smoothing: as for ``CrossEntropy``.
        scaled: as for ``CrossEntropy``.
    """

    margins: Tensor

    def __init__(
        self,
        class_counts: Tensor,
        max_margin: float = 0.5,
        constant: float | None = None,
        scale: float = 1.0,
        label_smoothing: float = 0.0,
        scaled: float = 1.0,
    ) -> None:
        super().__init__(scale, label_smoothing, scaled)
        self.register_buffer("margins", ldam_margins(class_counts, max_margin, constant))

    def forward(self, logits: Tensor, labels: Tensor, weights: Tensor | None = None) -> Tensor:
        """Mean loss over the batch; arguments as in ``CrossEntropy.forward``."""
        scaled = self._scaled_logits(logits)
        with _reduced_at_target(scaled, labels, self.margins[labels] * self.scale):
            return self._mean(scaled, labels, weights)


class LogitAdjustment(CrossEntropy):
    """Logit adjustment (Menon et al., ICLR 2021, equation 10), with ``tau`` 1 balanced softmax.

    ``L = -log softmax(s z + tau log p)_y``, where ``p_j`` is the share of class j in the training
    photos. The prior is learnt with the loss and is absent from the plain logits, which therefore
    estimate the posterior under equal class frequencies (Ren et al., NeurIPS 2020, equation 3).

    A class without training photos counts as having one: with a prior of 0 nothing would push its
    logits down, and it would be predicted.

    Args:
        class_counts: (C,) training photos per class.
        tau: strength.
        scale: as for ``CrossEntropy``.
        label_smoothing: as for ``CrossEntropy``.
        scaled: as for ``CrossEntropy``.
    """

    log_prior: Tensor

    def __init__(
        self,
        class_counts: Tensor,
        tau: float = 1.0,
        scale: float = 1.0,
        label_smoothing: float = 0.0,
        scaled: float = 1.0,
    ) -> None:
        super().__init__(scale, label_smoothing, scaled)
        counts = class_counts.double().clamp(min=1)
        self.register_buffer("log_prior", (tau * (counts / counts.sum()).log()).float())

    def forward(self, logits: Tensor, labels: Tensor, weights: Tensor | None = None) -> Tensor:
        """Mean loss over the batch; arguments as in ``CrossEntropy.forward``."""
        adjusted = torch.add(self.log_prior, logits.float(), alpha=self._rest)
        return self._mean(adjusted, labels, weights)


class ArcFace(CrossEntropy):
    """Additive angular margin (Deng et al., CVPR 2019, equation 3), for heads that give cosines.

    ``L = -log softmax(s z')_y`` with ``z'_y = cos(arccos(z_y) + m)`` and ``z'_j = z_j`` elsewhere.
    Beyond ``pi - m``, where the cosine would rise again, ``z'_y = z_y - m sin(m)`` goes on falling,
    as in the authors' code.

    Args:
        margin: m, in radians.
        scale: s.
        label_smoothing: as for ``CrossEntropy``.
        scaled: as for ``CrossEntropy``.
    """

    def __init__(
        self,
        margin: float = 0.3,
        scale: float = 30.0,
        label_smoothing: float = 0.0,
        scaled: float = 1.0,
    ) -> None:
        super().__init__(scale, label_smoothing, scaled)
        self.margin = margin

    def forward(self, logits: Tensor, labels: Tensor, weights: Tensor | None = None) -> Tensor:
        """Mean loss over the batch; arguments as in ``CrossEntropy.forward``."""
        target = labels[:, None]
        cosine = logits.gather(1, target).float() / self.scaled
        # The gradient of a sine of 0 is infinite; this cuts it off below an angle of 0.001.
        sine = (1 - cosine.square()).clamp(min=1e-6).sqrt()
        moved = cosine * math.cos(self.margin) - sine * math.sin(self.margin)
        beyond = cosine <= math.cos(math.pi - self.margin)
        moved = torch.where(beyond, cosine - self.margin * math.sin(self.margin), moved)
        scaled = self._scaled_logits(logits).scatter(1, target, moved * self.scale)
        return self._mean(scaled, labels, weights)


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


def build_loss(
    config: LossConfig, class_counts: Tensor, scale: float, scaled: float = 1.0
) -> CrossEntropy:
    """The loss that a configuration names.

    Args:
        config: the loss options.
        class_counts: (C,) training photos per class.
        scale: factor s on the logits (``Config.scale``).
        scaled: part of it that the head has applied (``Config.head_scale``).

    Raises:
        ConfigError: unknown loss.
    """
    common = {"scale": scale, "label_smoothing": config.label_smoothing, "scaled": scaled}
    if config.name == "ce":
        return CrossEntropy(**common)
    if config.name == "ldam":
        return LDAM(class_counts, config.max_margin, config.margin_constant, **common)
    if config.name == "logit_adjustment":
        return LogitAdjustment(class_counts, config.tau, **common)
    if config.name == "arcface":
        return ArcFace(config.angular_margin, **common)
    raise ConfigError(
        f"unknown loss {config.name!r}; there are ce, ldam, logit_adjustment and arcface"
    )


@contextmanager
def _reduced_at_target(logits: Tensor, labels: Tensor, by: Tensor) -> Iterator[None]:
    """Within the block, the logits are lower by ``by`` at the target; then what they were.

    A copy of the logits of 81,313 classes takes a large part of the time of their loss. It can also
    be computed from the plain cross-entropy ce, as ``ce + D + log1p(exp(-ce) expm1(-D))``, but that
    multiplies the rounding error of ce by up to e^D: at s = 30 (D up to 15), it is off by whole
    nats. The shift is a constant, so gradients are those of a shifted copy. Autograd must not see
    it, hence ``data``: nothing keeps the logits for the backward pass in their shifted state, and
    they are restored to the bit.

    Args:
        logits: (B, C) float32.
        labels: (B,) int64.
        by: (B,) float32.
    """
    target, values = labels[:, None], logits.data
    original = values.gather(1, target)
    values.scatter_(1, target, original - by[:, None])
    try:
        yield
    finally:
        values.scatter_(1, target, original)
