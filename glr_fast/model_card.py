"""``model.json``: what it takes to build a trained model again and to feed it."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass

from torch import nn

from glr_fast.config import Config
from glr_fast.errors import ConfigError
from glr_fast.model_config import HeadName, ModelConfig, PoolName
from glr_fast.models import build_model, pretrained_statistics


@dataclass(frozen=True)
class ModelCard:
    """What it takes to build a trained model again and feed it: ``model.json`` by its weights."""

    name: str
    """timm model name."""
    num_classes: int
    """Width of the head."""
    head: HeadName
    """linear, cosine or subcenter."""
    image_size: int
    """Side of the evaluation crop, in pixels."""
    mean: tuple[float, float, float]
    """Subtracted from RGB in 0..1."""
    std: tuple[float, float, float]
    """Divided by, after the mean."""
    logit_scale: float
    """Probabilities are softmax(logit_scale * output)."""
    head_scale: float = 1.0
    """Factor inside a cosine head."""
    sub_centers: int = 1
    """Weights of each class in a subcenter head."""
    pool: PoolName = "avg"
    """Pooling before the last layer."""
    float32_head: bool = False
    """Whether a linear head computes in float32 under autocast."""

    @classmethod
    def of(cls, model: nn.Module, config: Config, num_classes: int) -> ModelCard:
        """The card of a model that a run trains."""
        mean, std = pretrained_statistics(model)
        return cls(
            name=config.model.name,
            num_classes=num_classes,
            head=config.model.head,
            image_size=config.eval_size,
            mean=mean,
            std=std,
            logit_scale=config.logit_scale,
            head_scale=config.head_scale,
            sub_centers=config.model.centers,
            pool=config.model.pool,
            float32_head=config.model.float32_head,
        )

    @property
    def is_timm(self) -> bool:
        """Whether timm alone builds this model."""
        return self.head == "linear" and self.pool == "avg"

    def to_json(self) -> str:
        """The text of the file."""
        return json.dumps(asdict(self), indent=1) + "\n"

    @classmethod
    def from_json(cls, text: str, where: str) -> ModelCard:
        """Read a card; ``where`` names the file in messages.

        Raises:
            ConfigError: not a card of this version.
        """
        try:
            raw = json.loads(text)
            return cls(**raw | {"mean": tuple(raw["mean"]), "std": tuple(raw["std"])})
        except (ValueError, TypeError, KeyError) as error:
            raise ConfigError(f"{where}: not a model card of this version ({error})") from None

    def build(self) -> nn.Module:
        """The model with new weights, to load the trained ones into."""
        config = ModelConfig(
            name=self.name,
            pretrained=False,
            head=self.head,
            sub_centers=self.sub_centers,
            pool=self.pool,
            float32_head=self.float32_head,
        )
        return build_model(config, self.num_classes, self.head_scale)
