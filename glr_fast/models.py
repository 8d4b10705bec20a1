"""Backbones from timm with a head for the landmarks, and the weights they start from."""

from __future__ import annotations

import difflib
from collections.abc import Mapping, Sequence
from typing import Any, cast

import huggingface_hub.constants
import timm
import torch
from timm.models.resnet import Bottleneck
from torch import Tensor, nn

from glr_fast.config import ModelConfig
from glr_fast.errors import ConfigError
from glr_fast.heads import _head, _replace_head, _start_small, head_parameters
from glr_fast.weights import _hub_reachable, load_backbone


class Normalise:
    """uint8 photos to what the backbone was trained on: ``(x / 255 - mean) / std`` per channel.

    The constants are put on the device once: made anew for each batch, they would stop the host
    until the device has caught up.
    """

    def __init__(self, mean: Sequence[float], std: Sequence[float], device: torch.device) -> None:
        shift = [-m / s for m, s in zip(mean, std, strict=True)]
        self._scale = torch.tensor([1 / (255 * s) for s in std], device=device).view(1, -1, 1, 1)
        self._shift = torch.tensor(shift, device=device).view(1, -1, 1, 1)

    def __call__(self, images: Tensor) -> Tensor:
        """(B, 3, H, W) uint8 to float32 of the same memory format, on the same device."""
        return torch.addcmul(self._shift, images.float(), self._scale)


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
    if config.stride_in_1x1:
        _move_strides(model)
    if config.head == "cosine":
        _replace_head(model, num_classes)
    else:
        _start_small(model)
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
        _head(model).train()
    if fix_batch_norm:
        for module in model.modules():
            if isinstance(module, nn.modules.batchnorm._BatchNorm):
                module.eval()


def _create(config: ModelConfig, num_classes: int) -> nn.Module:
    pretrained = config.pretrained and config.weights is None
    if pretrained and not _hub_reachable():
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


def _move_strides(model: nn.Module) -> None:
    """Stride in the first 1x1 convolution, as in ResNet v1; the weights fit both layouts."""
    blocks = [module for module in model.modules() if isinstance(module, Bottleneck)]
    if not blocks:
        raise ConfigError("--model.stride-in-1x1 is for ResNets with bottleneck blocks")
    for block in blocks:
        conv1, conv2 = cast(nn.Conv2d, block.conv1), cast(nn.Conv2d, block.conv2)
        conv1.stride, conv2.stride = conv2.stride, conv1.stride
