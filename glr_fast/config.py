"""The configuration of a training run: frozen dataclasses, from which tyro makes the command line.

A variant is ``dataclasses.replace`` on a recipe (``glr_fast/recipes.py``). Every check raises
``ConfigError`` with one line that says which flag is wrong and what it may be.
"""

from __future__ import annotations

import dataclasses
import json
import math
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal, get_type_hints

from glr_fast.errors import ConfigError, require
from glr_fast.loader_options import LoaderOptions, ReadingOptions
from glr_fast.model_config import LossConfig, ModelConfig
from glr_fast.value_types import describe, fits

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
    start_image_size: int | None = None
    """Side of the training crop in the first epoch, in pixels. It grows in steps of 32, linearly,
    and reaches image_size after three quarters of the epochs; None: image_size from the start."""

    def __post_init__(self) -> None:
        super().__post_init__()
        size, start = self.eval_image_size, self.start_image_size
        require(size is None or size >= 16, "--data.eval-image-size", "16 or more", size)
        fits = start is None or 16 <= start < self.image_size
        below = f"from 16 to below --data.image-size {self.image_size}"
        require(fits, "--data.start-image-size", below, start)


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
    compress_gradients: bool = False
    """Send gradients between processes as bfloat16: half the traffic, rounded to 8 bits."""
    ema: float | None = None
    """Decay of an exponential moving average of the weights, such as 0.999, which is what is then
    evaluated and kept as the best weights; None trains without. It rises to this value during the
    first updates, as 1 - (1 + updates)^(-3/4)."""

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
        ema = self.ema
        require(ema is None or 0 < ema < 1, "--optim.ema", "above 0 and below 1, or None", ema)


@dataclass(frozen=True)
class MixConfig:
    """Mixing of the photos of a batch (``glr_fast/mixing.py`` has the sources)."""

    mixup: float = 0.0
    """Mixup: alpha of the Beta distribution of the shares, such as 0.2; 0 for none."""
    cutmix: float = 0.0
    """CutMix: alpha likewise, such as 1.0; 0 for none. With both on, a coin decides for each
    batch."""

    def __post_init__(self) -> None:
        for flag, alpha in (("--mix.mixup", self.mixup), ("--mix.cutmix", self.cutmix)):
            require(0 <= alpha < math.inf, flag, "0 or more, and a number", alpha)


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
    mix: MixConfig = field(default_factory=MixConfig)
    """Mixup and CutMix."""
    optim: OptimConfig = field(default_factory=OptimConfig)
    """Optimiser and schedule."""
    run: RunConfig = field(default_factory=RunConfig)
    """Logging, evaluation, checkpoints."""
    out: Path = Path("runs/train")
    """Run folder: checkpoints, best weights, logs."""
    resume: bool = False
    """Continue from the newest checkpoint in the run folder, mid-epoch if need be, as if never
    stopped."""
    init_from: Path | None = None
    """Begin a new run with the weights of this one (a run folder, its best/, a checkpoint or an
    export): the backbone, and the head's rows of the classes that both know, by landmark id."""
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
        fits_head = self.loss.name != "arcface" or self.model.cosine
        require(fits_head, "--loss.name arcface", "with --model.head cosine or subcenter", "linear")
        if self.init_from is not None and self.model.weights is not None:
            raise ConfigError("--init-from and --model.weights both give the weights; take one")

    @property
    def scale(self) -> float:
        """The factor s on linear outputs or cosines, wherever it is applied."""
        if self.loss.scale is not None:
            return self.loss.scale
        return 30.0 if self.model.cosine else 1.0

    @property
    def head_scale(self) -> float:
        """The part of s that the head applies: all of it if the outputs are cosines."""
        return self.scale if self.model.cosine else 1.0

    @property
    def logit_scale(self) -> float:
        """The part of s that loss and probabilities apply to the model's outputs."""
        return self.scale / self.head_scale

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
    "init-from",
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
        elif hint is not None and not fits(value, hint):
            raise TypeError(f"{name} is {value!r}, which is not {describe(hint)}")
        values[name] = value
    return kind(**values)
