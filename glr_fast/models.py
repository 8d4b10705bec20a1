"""Backbones from timm with a head for the landmarks, and the weights they start from."""

from __future__ import annotations

import difflib
from collections.abc import Mapping
from typing import Any, cast

import huggingface_hub.constants
import timm
import torch
from torch import nn

from glr_fast.config import ModelConfig
from glr_fast.errors import ConfigError
from glr_fast.heads import classifier, head_parameters, start_small, use_cosine_head
from glr_fast.weights import hub_reachable, load_backbone


def build_model(config: ModelConfig, num_classes: int) -> nn.Module:
    """A timm model, its last layer replaced by one for ``num_classes``, with its starting weights.

    Raises:
        ConfigError: unknown model, weights that cannot be had, or weights of another architecture.
    """
    if not timm.is_model(config.name):
        raise ConfigError(
            f"--model.name {config.name}: timm has no such model{_similar(config.name)}"
        )
    model = _create(config, num_classes)
    if config.head == "cosine":
        use_cosine_head(model, num_classes)
    else:
        start_small(model)
    if config.weights is not None:
        load_backbone(model, config.weights, config.name)
    return model


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
        reason = str(error).splitlines()[0][:200]
        raise ConfigError(
            f"the pretrained weights of {config.name} cannot be had from timm's hub ({reason}); "
            "give a file with --model.weights FILE, or start from noise with --model.no-pretrained"
        ) from None


def _similar(name: str) -> str:
    found = difflib.get_close_matches(name.split(".")[0], timm.list_models(), n=3)
    return f"; did you mean {', '.join(found)}?" if found else ""
