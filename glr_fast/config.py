"""The configuration of a training run: frozen dataclasses, from which tyro makes the command line.

A variant is ``dataclasses.replace`` on a recipe (``glr_fast/recipes.py``). Every check raises
``ConfigError`` with one line that says which flag is wrong and what it may be.
"""

from __future__ import annotations

import dataclasses
import json
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal, get_type_hints

from glr_fast.errors import ConfigError, require
from glr_fast.loader_options import LoaderOptions, ReadingOptions

LossName = Literal["ce", "ldam"]

HeadName = Literal["linear", "cosine"]

OptimName = Literal["adamw", "sgd"]

Precision = Literal["auto", "no", "bf16", "fp16"]

Monitor = Literal["macro_f1", "accuracy"]


@dataclass(frozen=True)
class DataConfig(LoaderOptions):
    """Which photos, in which order, at which size."""

    store: Path = Path("store")
    """Folder or URL of a store that ``glr-shard build`` wrote."""
    batch_size: int = 256
    """Photos per global batch, over all processes; the processes share it equally."""
    eval_image_size: int | None = None
    """Side of the centre crop in evaluation, in pixels; None takes the training crop's."""

    def __post_init__(self) -> None:
        super().__post_init__()
        size = self.eval_image_size
        require(size is None or size >= 16, "--data.eval-image-size", "16 or more", size)


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
    """Last layer: linear, or cosine (normalised features and weights, no bias)."""
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


@dataclass(frozen=True)
class LossConfig:
    """The loss (``glr_fast/losses.py`` has the formulas)."""

    name: LossName = "ce"
    """ce: cross-entropy; ldam: label-distribution-aware margin."""
    label_smoothing: float = 0.0
    """Share of the target probability that is spread over all classes."""
    max_margin: float = 0.5
    """LDAM: margin of the rarest class; it sets the constant C."""
    margin_constant: float | None = None
    """LDAM: the constant C of D_j = C / n_j^(1/4), given directly in place of max_margin."""
    scale: float | None = None
    """Factor s on the logits; None takes 1, or 30 with the cosine head."""
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
        require(scale is None or scale > 0, "--loss.scale", "above 0", scale)
        require(start is None or 0 <= start <= 1, "--loss.reweight-from", "from 0 to 1", start)
        beta = self.reweight_beta
        require(0 <= beta < 1, "--loss.reweight-beta", "from 0 to below 1", beta)


@dataclass(frozen=True)
class OptimConfig:
    """The optimiser and its schedule."""

    name: OptimName = "adamw"
    """adamw, or sgd (Nesterov momentum)."""
    epochs: int = 10
    """Passes over the training photos."""
    lr: float = 1e-3
    """Peak learning rate, of the last layer."""
    backbone_lr_scale: float = 0.1
    """The backbone's learning rate as a share of lr."""
    warmup_epochs: float = 1.0
    """Epochs over which the learning rate rises linearly from near 0 to its peak."""
    min_lr_ratio: float = 0.01
    """The cosine ends at this share of the peak."""
    weight_decay: float = 0.05
    """Weight decay; norms and biases have none."""
    momentum: float = 0.9
    """Momentum of sgd."""
    clip_norm: float | None = 1.0
    """Largest gradient norm; None does not clip."""
    accumulate_steps: int = 1
    """Global batches whose gradients are averaged into one update."""

    def __post_init__(self) -> None:
        require(self.epochs >= 1, "--optim.epochs", "1 or more", self.epochs)
        require(self.lr > 0, "--optim.lr", "above 0", self.lr)
        scale, clip = self.backbone_lr_scale, self.clip_norm
        require(scale >= 0, "--optim.backbone-lr-scale", "0 or more", scale)
        require(self.warmup_epochs >= 0, "--optim.warmup-epochs", "0 or more", self.warmup_epochs)
        ratio = self.min_lr_ratio
        require(0 <= ratio <= 1, "--optim.min-lr-ratio", "from 0 to 1", ratio)
        require(self.weight_decay >= 0, "--optim.weight-decay", "0 or more", self.weight_decay)
        require(0 <= self.momentum < 1, "--optim.momentum", "from 0 to below 1", self.momentum)
        require(clip is None or clip > 0, "--optim.clip-norm", "above 0, or None", clip)
        steps = self.accumulate_steps
        require(steps >= 1, "--optim.accumulate-steps", "1 or more", steps)


@dataclass(frozen=True)
class RunConfig:
    """What is looked at, how often, and what is kept. Nothing here changes the weights."""

    log_every: int = 20
    """Steps between log lines; only then are values read back from the device."""
    eval_every: float = 1.0
    """Epochs between evaluations on the validation split; 0 for never."""
    save_every: float = 1.0
    """Epochs between checkpoints (0.25 saves four times an epoch); 0 for only the last one."""
    keep: int = 2
    """Checkpoints kept; the best weights are kept beside them."""
    monitor: Monitor = "macro_f1"
    """Validation figure that decides which weights are the best."""
    max_steps: int | None = None
    """Stop after this many steps, with a checkpoint; the schedule stays that of all the epochs."""

    def __post_init__(self) -> None:
        require(self.log_every >= 1, "--run.log-every", "1 or more", self.log_every)
        require(self.eval_every >= 0, "--run.eval-every", "0 or more", self.eval_every)
        require(self.save_every >= 0, "--run.save-every", "0 or more", self.save_every)
        require(self.keep >= 1, "--run.keep", "1 or more", self.keep)
        steps = self.max_steps
        require(steps is None or steps >= 1, "--run.max-steps", "1 or more", steps)


@dataclass(frozen=True)
class Config:
    """One training run."""

    data: DataConfig = field(default_factory=DataConfig)
    """Photos."""
    model: ModelConfig = field(default_factory=ModelConfig)
    """Backbone and head."""
    loss: LossConfig = field(default_factory=LossConfig)
    """Loss."""
    optim: OptimConfig = field(default_factory=OptimConfig)
    """Optimiser and schedule."""
    run: RunConfig = field(default_factory=RunConfig)
    """Logging, evaluation, checkpoints."""
    out: Path = Path("runs/train")
    """Run folder: checkpoints, best weights, logs."""
    resume: bool = False
    """Continue from the newest checkpoint in the run folder, in mid-epoch, as if never stopped."""
    seed: int = 0
    """Seed of everything: new weights, the order of the photos, crops, dropout."""
    precision: Precision = "auto"
    """Mixed precision; auto leaves it to accelerate launch (no, when started without it)."""
    tracker: str = "tensorboard"
    """Any tracker Accelerate knows (tensorboard, wandb, mlflow, ...), or none."""

    def __post_init__(self) -> None:
        require(0 <= self.seed < 2**63, "--seed", "from 0 to 2^63 - 1", self.seed)
        frozen, epochs = self.model.freeze_epochs, self.optim.epochs
        require(
            frozen <= epochs, "--model.freeze-epochs", f"at most --optim.epochs {epochs}", frozen
        )

    @property
    def logit_scale(self) -> float:
        """The factor s that loss and probabilities apply to the model's outputs."""
        if self.loss.scale is not None:
            return self.loss.scale
        return 30.0 if self.model.head == "cosine" else 1.0

    @property
    def eval_size(self) -> int:
        """Side of the evaluation crop, in pixels."""
        return self.data.eval_image_size or self.data.image_size

    def to_json(self) -> str:
        """The text of a run folder's ``config.json``."""
        return json.dumps(dataclasses.asdict(self), indent=1, default=str) + "\n"

    @classmethod
    def from_json(cls, text: str, where: str) -> Config:
        """Read a ``config.json``; ``where`` names it in messages.

        Raises:
            ConfigError: not JSON, a field this version does not know, or a bad value.
        """
        try:
            return _from_dict(cls, json.loads(text))
        except (ValueError, TypeError, AttributeError) as error:
            raise ConfigError(f"{where}: not a configuration of this version ({error})") from None


def flat(config: Any, prefix: str = "") -> dict[str, Any]:
    """Every field under its flag's name: ``{"data.batch-size": 256, ..., "seed": 0}``."""
    values: dict[str, Any] = {}
    for item in dataclasses.fields(config):
        name, value = prefix + item.name.replace("_", "-"), getattr(config, item.name)
        values |= flat(value, f"{name}.") if dataclasses.is_dataclass(value) else {name: value}
    return values


#: A resumed run may differ in these: where things are, and what is looked at. All else decides the
#: weights, so it must be what it was.
RESUME_MAY_CHANGE = (
    "data.store",
    *(f"data.{field.name.replace('_', '-')}" for field in dataclasses.fields(ReadingOptions)),
    "model.weights",
    "model.pretrained",
    "run.",
    "out",
    "resume",
    "precision",
    "tracker",
)


def changed_for_resume(old: Config, new: Config) -> dict[str, tuple[Any, Any]]:
    """Flags (old value, new value) in which ``new`` cannot continue a run begun with ``old``."""
    before, after = flat(old), flat(new)
    return {
        name: (before[name], after[name])
        for name in after
        if before[name] != after[name] and not name.startswith(RESUME_MAY_CHANGE)
    }


def _from_dict(kind: Any, raw: dict[str, Any]) -> Any:
    hints = get_type_hints(kind)
    values = {}
    for name, value in raw.items():
        hint = hints.get(name)
        if dataclasses.is_dataclass(hint):
            value = _from_dict(hint, value)
        elif value is not None and hint in (Path, Path | None):
            value = Path(value)
        values[name] = value
    return kind(**values)
