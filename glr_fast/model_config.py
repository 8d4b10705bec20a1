"""The parts of a run's configuration that choose the model and the loss."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from glr_fast.errors import require

LossName = Literal["ce", "ldam", "logit_adjustment", "arcface"]

HeadName = Literal["linear", "cosine", "subcenter"]

PoolName = Literal["avg", "gem"]


@dataclass(frozen=True)
class ModelConfig:
    """The backbone and its head."""

    name: str = "resnet50"
    """Any timm model name, such as resnet50 or efficientnet_b0."""
    pretrained: bool = True
    """Start from the weights timm downloads from its hub (unused when weights names a file)."""
    weights: Path | None = None
    """Start from this .safetensors or .pth file of the same architecture, but its last layer."""
    head: HeadName = "linear"
    """Last layer: linear; cosine (normalised features and weights, no bias); or subcenter (cosine
    to the nearest of several weights of each class)."""
    sub_centers: int = 3
    """Weights of each class in the subcenter head."""
    float32_head: bool = False
    """Compute a linear last layer in float32 under mixed precision; a cosine head always does."""
    pool: PoolName = "avg"
    """Pooling before the last layer: avg, or gem (generalised mean with a learnt exponent)."""
    dropout: float = 0.0
    """Dropout before the last layer, a probability."""
    drop_path: float = 0.0
    """Stochastic depth, a probability; only some architectures have it."""
    freeze_epochs: int = 0
    """Train only the last layer for this many epochs; batch-norm statistics stay fixed too."""
    fix_batch_norm: bool = False
    """Keep the batch norms' pretrained statistics for the whole run: for few photos or small
    batches, whose own statistics are noise."""

    def __post_init__(self) -> None:
        require(bool(self.name), "--model.name", "a timm model name", "empty")
        require(0 <= self.dropout < 1, "--model.dropout", "from 0 to below 1", self.dropout)
        require(0 <= self.drop_path < 1, "--model.drop-path", "from 0 to below 1", self.drop_path)
        require(self.freeze_epochs >= 0, "--model.freeze-epochs", "0 or more", self.freeze_epochs)
        require(self.sub_centers >= 1, "--model.sub-centers", "1 or more", self.sub_centers)

    @property
    def cosine(self) -> bool:
        """Whether the outputs are cosines, scaled inside the head."""
        return self.head != "linear"

    @property
    def centers(self) -> int:
        """Weights of each class in the head."""
        return self.sub_centers if self.head == "subcenter" else 1


@dataclass(frozen=True)
class LossConfig:
    """The loss (``glr_fast/losses.py`` has the formulas)."""

    name: LossName = "ce"
    """ce: cross-entropy; ldam: label-distribution-aware margin; logit_adjustment: cross-entropy of
    logits plus the log of the class frequencies (tau 1: balanced softmax); arcface: additive
    angular margin, for the heads cosine and subcenter."""
    label_smoothing: float = 0.0
    """Share of the target probability that is spread over all classes."""
    max_margin: float = 0.5
    """LDAM: margin of the rarest class; it sets the constant C."""
    margin_constant: float | None = None
    """LDAM: the constant C of D_j = C / n_j^(1/4), given directly in place of max_margin."""
    tau: float = 1.0
    """Logit adjustment: factor on the log of the class frequencies."""
    angular_margin: float = 0.3
    """ArcFace: margin in radians."""
    scale: float | None = None
    """Factor s on the logits; None takes 1, or 30 with the heads cosine and subcenter."""
    reweight_from: float | None = None
    """Deferred re-weighting: class weights from this share of the epochs on; None: never."""
    reweight_beta: float = 0.9999
    """Deferred re-weighting: beta of the effective number (1 - beta^n) / (1 - beta)."""

    def __post_init__(self) -> None:
        smoothing, start = self.label_smoothing, self.reweight_from
        require(0 <= smoothing < 1, "--loss.label-smoothing", "from 0 to below 1", smoothing)
        require(self.max_margin >= 0, "--loss.max-margin", "0 or more", self.max_margin)
        constant, scale = self.margin_constant, self.scale
        require(constant is None or constant >= 0, "--loss.margin-constant", "0 or more", constant)
        require(self.tau >= 0, "--loss.tau", "0 or more", self.tau)
        angle = self.angular_margin
        require(0 <= angle <= 1.5, "--loss.angular-margin", "from 0 to 1.5", angle)
        require(scale is None or scale > 0, "--loss.scale", "above 0", scale)
        require(start is None or 0 <= start <= 1, "--loss.reweight-from", "from 0 to 1", start)
        beta = self.reweight_beta
        require(0 <= beta < 1, "--loss.reweight-beta", "from 0 to below 1", beta)
