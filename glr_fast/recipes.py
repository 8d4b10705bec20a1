"""Named recipes: functions that return a ``Config``; ``--recipe NAME`` takes one as the defaults.

A variant is a base recipe with a field or two changed. Flags after ``--recipe`` change more.
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

    Command: ``accelerate launch launch/train.py --recipe resnet50_ldam --data.store STORE``
    Cost: 0.07 core-seconds a photo at 128 pixels, three times that at 224, forward and backward
    on an AVX-512 CPU in float32.
    Expected: benchmarks/results/landmarks13.md has the figures on 13 landmarks.
    """
    base = resnet50_ce()
    return replace(base, loss=replace(base.loss, name="ldam"), out=Path("runs/resnet50_ldam"))


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

    Command: ``accelerate launch launch/train.py --recipe efficientnet_b0_ldam --data.store STORE``
    Cost: 0.03 core-seconds a photo at 128 pixels, three times that at 224, forward and backward
    on an AVX-512 CPU in float32.
    Expected: benchmarks/results/landmarks13.md has the figures on 13 landmarks.
    """
    base = resnet50_ldam()
    model = replace(base.model, name="efficientnet_b0")
    return replace(base, model=model, out=Path("runs/efficientnet_b0_ldam"))


RECIPES: dict[str, Callable[[], Config]] = {
    recipe.__name__: recipe
    for recipe in (resnet50_ce, resnet50_ldam, efficientnet_b0_ce, efficientnet_b0_ldam)
}
