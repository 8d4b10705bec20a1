"""Named recipes: functions that return a ``Config``; ``--recipe NAME`` takes one as the defaults.

A variant is a base recipe with a field or two changed. Flags after ``--recipe`` change more.
benchmarks/results/long_tail.md compares the losses on long-tailed photos.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

from glr_fast.config import Config, LossConfig, ModelConfig


def resnet50_ce() -> Config:
    """ResNet-50 with cross-entropy.

    Command: ``accelerate launch launch/train.py --recipe resnet50_ce --data.store STORE``
    Cost: 0.07 core-seconds a photo at 128 pixels, three times that at 224, forward and backward
    on an AVX-512 CPU in float32.
    Expected: benchmarks/results/landmarks13.md has the figures on 13 landmarks.
    """
    return Config(
        model=ModelConfig(name="resnet50"),
        loss=LossConfig(name="ce", label_smoothing=0.1),
        out=Path("runs/resnet50_ce"),
    )


def resnet50_ldam() -> Config:
    """ResNet-50 with LDAM margins (standard form: s = 1, linear head, largest margin 0.5).

    Without label smoothing, which the formula does not have.

    Command: ``accelerate launch launch/train.py --recipe resnet50_ldam --data.store STORE``
    Cost: that of resnet50_ce.
    Expected: benchmarks/results/landmarks13.md has the figures on 13 landmarks.
    """
    return _ldam(resnet50_ce())


def resnet50_ldam_drw() -> Config:
    """ResNet-50 with LDAM and deferred re-weighting, as its authors train: cosine head, s = 30.

    Over the last fifth of the epochs, the classes are weighted by their effective numbers.

    Command: ``accelerate launch launch/train.py --recipe resnet50_ldam_drw --data.store STORE``
    Cost: that of resnet50_ce.
    Expected: benchmarks/results/long_tail.md compares the losses, on EfficientNet-B0.
    """
    return _ldam_drw(resnet50_ce())


def resnet50_logit_adjustment() -> Config:
    """ResNet-50 with logit adjustment (balanced softmax: tau = 1, linear head).

    Command: ``accelerate launch launch/train.py --recipe resnet50_logit_adjustment --data.store
    STORE``
    Cost: that of resnet50_ce.
    Expected: benchmarks/results/long_tail.md compares the losses, on EfficientNet-B0.
    """
    return _logit_adjustment(resnet50_ce())


def resnet50_arcface() -> Config:
    """ResNet-50 with sub-center ArcFace (three centers a class, margin 0.3) and GeM pooling.

    Command: ``accelerate launch launch/train.py --recipe resnet50_arcface --data.store STORE``
    Cost: that of resnet50_ce; with 81,313 classes the head's is three times as high.
    Expected: benchmarks/results/long_tail.md compares the losses, on EfficientNet-B0.
    """
    return _arcface(resnet50_ce())


def efficientnet_b0_ce() -> Config:
    """EfficientNet-B0 with cross-entropy.

    Command: ``accelerate launch launch/train.py --recipe efficientnet_b0_ce --data.store STORE``
    Cost: 0.03 core-seconds a photo at 128 pixels, three times that at 224, forward and backward
    on an AVX-512 CPU in float32.
    Expected: benchmarks/results/landmarks13.md has the figures on 13 landmarks.
    """
    base = resnet50_ce()
    model = replace(base.model, name="efficientnet_b0")
    return replace(base, model=model, out=Path("runs/efficientnet_b0_ce"))


def efficientnet_b0_ldam() -> Config:
    """EfficientNet-B0 with LDAM margins (standard form: s = 1, linear head, largest margin 0.5).

    Without label smoothing, which the formula does not have.

    Command: ``accelerate launch launch/train.py --recipe efficientnet_b0_ldam --data.store STORE``
    Cost: that of efficientnet_b0_ce.
    Expected: benchmarks/results/landmarks13.md has the figures on 13 landmarks.
    """
    return _ldam(efficientnet_b0_ce())


def efficientnet_b0_ldam_drw() -> Config:
    """EfficientNet-B0 with LDAM and deferred re-weighting, as its authors train: cosine, s = 30.

    Over the last fifth of the epochs, the classes are weighted by their effective numbers.

    Command: ``accelerate launch launch/train.py --recipe efficientnet_b0_ldam_drw --data.store
    STORE``
    Cost: that of efficientnet_b0_ce.
    Expected: benchmarks/results/long_tail.md has the figures on 13 landmarks, thinned.
    """
    return _ldam_drw(efficientnet_b0_ce())


def efficientnet_b0_logit_adjustment() -> Config:
    """EfficientNet-B0 with logit adjustment (balanced softmax: tau = 1, linear head).

    Command: ``accelerate launch launch/train.py --recipe efficientnet_b0_logit_adjustment
    --data.store STORE``
    Cost: that of efficientnet_b0_ce.
    Expected: benchmarks/results/long_tail.md has the figures on 13 landmarks, thinned.
    """
    return _logit_adjustment(efficientnet_b0_ce())


def efficientnet_b0_arcface() -> Config:
    """EfficientNet-B0 with sub-center ArcFace (three centers a class, margin 0.3) and GeM pooling.

    Command: ``accelerate launch launch/train.py --recipe efficientnet_b0_arcface --data.store
    STORE``
    Cost: that of efficientnet_b0_ce; with 81,313 classes the head's is three times as high.
    Expected: benchmarks/results/long_tail.md has the figures on 13 landmarks, thinned.
    """
    return _arcface(efficientnet_b0_ce())


def _ldam(base: Config) -> Config:
    loss = replace(base.loss, name="ldam", label_smoothing=0.0)
    return _renamed(replace(base, loss=loss), "ldam")


def _ldam_drw(base: Config) -> Config:
    base = _ldam(base)
    model = replace(base.model, head="cosine")
    loss = replace(base.loss, reweight_from=0.8)
    return _renamed(replace(base, model=model, loss=loss), "ldam_drw")


def _logit_adjustment(base: Config) -> Config:
    loss = replace(base.loss, name="logit_adjustment", label_smoothing=0.0)
    return _renamed(replace(base, loss=loss), "logit_adjustment")


def _arcface(base: Config) -> Config:
    model = replace(base.model, head="subcenter", pool="gem")
    loss = replace(base.loss, name="arcface", label_smoothing=0.0)
    return _renamed(replace(base, model=model, loss=loss), "arcface")


def _renamed(config: Config, loss: str) -> Config:
    return replace(config, out=Path(f"runs/{config.model.name}_{loss}"))


RECIPES: dict[str, Callable[[], Config]] = {
    recipe.__name__: recipe
    for recipe in (
        resnet50_ce,
        resnet50_ldam,
        resnet50_ldam_drw,
        resnet50_logit_adjustment,
        resnet50_arcface,
        efficientnet_b0_ce,
        efficientnet_b0_ldam,
        efficientnet_b0_ldam_drw,
        efficientnet_b0_logit_adjustment,
        efficientnet_b0_arcface,
    )
}
