"""Backbones from timm with a head for the landmarks, and the weights they start from."""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Mapping
from typing import Any, cast

import huggingface_hub.constants
import timm
import torch
from torch import nn

from glr_fast.errors import ConfigError
from glr_fast.heads import (
    classifier,
    head_parameters,
    start_small,
    use_cosine_head,
    use_float32_head,
    use_gem_pooling,
)
from glr_fast.model_config import ModelConfig
from glr_fast.weights import hub_reachable, load_backbone


def build_model(config: ModelConfig, num_classes: int, head_scale: float = 1.0) -> nn.Module:
    """A timm model, its last layer replaced by one for ``num_classes``, with its starting weights.

    Args:
        config: architecture, head, weights.
        num_classes: width of the head.
        head_scale: factor inside a cosine head (``Config.head_scale``); a linear head has none.

    Raises:
        ConfigError: unknown model, weights that cannot be had, weights of another architecture, or
            a head or pooling that does not fit the model.
    """
    check_name(config.name)
    model = _create(config, num_classes)
    if config.cosine:
        use_cosine_head(model, num_classes, head_scale, config.centers)
    else:
        start_small(model)
        if config.float32_head:
            use_float32_head(model)
    if config.weights is not None:
        load_backbone(model, config.weights, config.name)
    if config.pool == "gem":
        use_gem_pooling(model)  # after the weights, which know no p
    return model


def check_name(name: str) -> None:
    """Make sure that timm has a model.

    Raises:
        ConfigError: it has none of that name.
    """
    if not timm.is_model(name):
        raise ConfigError(f"--model.name {name}: timm has no such model{_similar(name)}")
    try:
        timm.models.get_pretrained_cfg(name)
    except RuntimeError as error:  # the part after the point
        raise ConfigError(f"--model.name {name}: {error}") from None


def check_image_sizes(model: nn.Module, sizes: Iterable[tuple[str, int]]) -> None:
    """Send a black image of each size through a model, which is left in training mode.

    Args:
        model: where it will run.
        sizes: the flag that gives a side, and the side in pixels.

    Raises:
        ConfigError: it cannot take one of them.
    """
    device = next(model.parameters()).device
    model.eval()
    for flag, size in sizes:
        image = torch.zeros((1, 3, size, size), device=device)
        try:
            with torch.no_grad():
                model(image.to(memory_format=torch.channels_last))
        except (AssertionError, RuntimeError, ValueError) as error:
            if isinstance(error, torch.OutOfMemoryError):
                raise
            settings = cast(Mapping[str, Any], model.pretrained_cfg)
            side, reason = settings["input_size"][-1], " ".join(str(error).split())[:160]
            raise ConfigError(
                f"{flag} {size}: {settings['architecture']} cannot take images of this size "
                f"({reason}); it was made for {side}"
            ) from None
    model.train()


def place(model: nn.Module, device: torch.device) -> nn.Module:
    """The model on a device, its convolutions channels-last like the photos."""
    return cast(Any, model).to(device, memory_format=torch.channels_last)


def pretrained_statistics(model: nn.Module) -> tuple[Any, Any]:
    """Mean and std (three floats each, RGB in 0..1) that the model's published weights expect."""
    settings = cast(Mapping[str, Any], model.pretrained_cfg)
    return tuple(settings["mean"]), tuple(settings["std"])


def set_frozen(model: nn.Module, frozen: bool) -> None:
    """Freeze or free all but the last layer; ``train_mode`` keeps the statistics fixed too."""
    head = head_parameters(model)
    for parameter in model.parameters():
        parameter.requires_grad_(not frozen or id(parameter) in head)


def train_mode(model: nn.Module, frozen: bool, fix_batch_norm: bool = False) -> None:
    """Training mode; with a frozen backbone its batch norms, dropouts and the like stay in eval.

    ``fix_batch_norm`` keeps the batch norms in eval all the same: they use their statistics and do
    not change them.
    """
    model.train(not frozen)
    if frozen:
        classifier(model).train()
    if fix_batch_norm:
        for module in model.modules():
            if isinstance(module, nn.modules.batchnorm._BatchNorm):
                module.eval()


def _create(config: ModelConfig, num_classes: int) -> nn.Module:
    pretrained = config.pretrained and config.weights is None
    if pretrained and not hub_reachable():
        huggingface_hub.constants.HF_HUB_OFFLINE = True  # else it retries for a minute
    options = {"drop_rate": config.dropout, "drop_path_rate": config.drop_path or None}
    options = {key: value for key, value in options.items() if value}
    try:
        return timm.create_model(config.name, pretrained, num_classes=num_classes, **options)
    except TypeError as error:
        raise ConfigError(f"--model.name {config.name}: {error}") from None
    except Exception as error:
        if not pretrained:
            raise
        reason = str(error).partition("\n")[0].partition(". ")[0][:200].rstrip(".")
        raise ConfigError(
            f"the pretrained weights of {config.name} cannot be had from timm's hub ({reason}); "
            "give a file with --model.weights FILE, or start from noise with --model.no-pretrained"
        ) from None


def _similar(name: str) -> str:
    name = name.split(".")[0]
    found = difflib.get_close_matches(name, timm.list_models(), n=30)
    # Many are equally near to a name with one wrong letter: the smallest is what most people mean.
    found.sort(key=lambda model: (-difflib.SequenceMatcher(None, model, name).ratio(), model))
    found = found[:3]
    return f"; did you mean {', '.join(found)}?" if found else ""
