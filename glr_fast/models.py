"""Backbones from timm with a head for the landmarks, and the weights they start from."""

from __future__ import annotations

import difflib
import json
import os
import socket
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, cast
from urllib.parse import urlsplit

import huggingface_hub.constants
import safetensors.torch
import timm
import torch
from safetensors import SafetensorError
from timm.models.resnet import Bottleneck
from torch import Tensor, nn
from torch.nn import functional as F

from glr_fast.config import Config, ConfigError, HeadName, ModelConfig


@dataclass(frozen=True)
class ModelCard:
    """What it takes to build a trained model again and feed it: ``model.json`` by its weights."""

    name: str
    """timm model name."""
    num_classes: int
    """Width of the head."""
    head: HeadName
    """linear or cosine."""
    image_size: int
    """Side of the evaluation crop, in pixels."""
    mean: tuple[float, float, float]
    """Subtracted from RGB in 0..1."""
    std: tuple[float, float, float]
    """Divided by, after the mean."""
    logit_scale: float
    """Probabilities are softmax(logit_scale * output)."""
    stride_in_1x1: bool
    """ResNet bottlenecks in the v1 layout."""

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
            stride_in_1x1=config.model.stride_in_1x1,
        )

    def to_json(self) -> str:
        """The card as it stands in the file."""
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
            name=self.name, pretrained=False, head=self.head, stride_in_1x1=self.stride_in_1x1
        )
        return build_model(config, self.num_classes)


class CosineHead(nn.Module):
    """Cosine of feature and class weight: no bias, both of length 1 (the head of LDAM's authors).

    Computed in float32 under autocast: with a scale of 30, bfloat16 cosines err by up to 0.1 logit.
    """

    def __init__(self, in_features: int, num_classes: int) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.empty(num_classes, in_features))
        nn.init.normal_(self.weight, std=in_features**-0.5)

    def forward(self, features: Tensor) -> Tensor:
        """(B, in_features) to cosines (B, num_classes), float32 in -1..1."""
        with torch.autocast(features.device.type, enabled=False):
            return F.linear(F.normalize(features.float()), F.normalize(self.weight.float()))


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


def head_parameters(model: nn.Module) -> set[int]:
    """Identities (``id``) of the parameters of the last layer."""
    return {id(parameter) for parameter in _head(model).parameters()}


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


def load_backbone(model: nn.Module, file: Path, name: str) -> None:
    """Load weights from a file into all but the last layer; half precision becomes float32.

    Raises:
        ConfigError: no such file, unreadable, or weights of another architecture.
    """
    head = _head_name(model) + "."
    given = {key: value for key, value in read_weights(file).items() if not _is_head(key, head)}
    wanted = {key: value for key, value in model.state_dict().items() if not key.startswith(head)}
    wrong = list(_mismatches(wanted, given))
    if wrong:
        same = sum(key in given and given[key].shape == wanted[key].shape for key in wanted)
        shown = "; ".join(wrong[:3]) + (f"; and {len(wrong) - 3} more" if len(wrong) > 3 else "")
        raise ConfigError(
            f"--model.weights {file}: weights of another architecture: {same} of the "
            f"{len(wanted)} tensors of {name} match ({shown})"
        )
    model.load_state_dict({key: value.float() for key, value in given.items()}, strict=False)


def read_weights(file: Path) -> dict[str, Tensor]:
    """Tensors of a .safetensors or .pth file, by name, without wrappers such as ``module.``.

    Raises:
        ConfigError: no such file, or not a file of weights.
    """
    if not file.is_file():
        raise ConfigError(f"--model.weights {file}: no such file")
    try:
        if file.suffix == ".safetensors":
            raw: Any = safetensors.torch.load_file(file)
        else:
            raw = torch.load(file, map_location="cpu", weights_only=True)
    except (OSError, RuntimeError, ValueError, EOFError, SafetensorError) as error:
        reason = str(error).splitlines()[0][:200]
        raise ConfigError(f"--model.weights {file}: cannot be read ({reason})") from None
    except Exception as error:  # torch.load raises pickle's errors for anything but weights
        kind = type(error).__name__
        raise ConfigError(f"--model.weights {file}: not a file of weights ({kind})") from None
    for wrapper in ("state_dict", "model", "model_state_dict"):
        raw = raw.get(wrapper, raw) if isinstance(raw, Mapping) else raw
    if not isinstance(raw, Mapping) or not any(isinstance(v, Tensor) for v in raw.values()):
        raise ConfigError(f"--model.weights {file}: holds no tensors by name")
    return {k.removeprefix("module."): v for k, v in raw.items() if isinstance(v, Tensor)}


def _mismatches(wanted: Mapping[str, Tensor], given: Mapping[str, Tensor]) -> Iterator[str]:
    for key, value in wanted.items():
        if key not in given:
            if not key.endswith("num_batches_tracked"):  # a counter; converted files lack it
                yield f"{key} is missing"
        elif given[key].shape != value.shape:
            yield f"{key} is {tuple(given[key].shape)}, not {tuple(value.shape)}"
    yield from (f"{key} is not part of the model" for key in given if key not in wanted)


def _is_head(key: str, head: str) -> bool:
    return key.startswith((head, "classifier.", "fc.", "head.fc."))


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


def _hub_reachable() -> bool:
    """Whether the hub's name resolves, or a proxy may resolve it for us."""
    if any(os.environ.get(name) for name in ("HTTPS_PROXY", "https_proxy", "ALL_PROXY")):
        return True
    host = urlsplit(huggingface_hub.constants.ENDPOINT).hostname
    try:
        socket.getaddrinfo(host, 443)
    except OSError:
        return False
    return True


def _similar(name: str) -> str:
    found = difflib.get_close_matches(name.split(".")[0], timm.list_models(), n=3)
    return f"; did you mean {', '.join(found)}?" if found else ""


def _head(model: nn.Module) -> nn.Module:
    return cast(nn.Module, cast(Any, model).get_classifier())


def _head_name(model: nn.Module) -> str:
    head = _head(model)
    return next(name for name, module in model.named_modules() if module is head)


def _start_small(model: nn.Module) -> None:
    """Give a linear last layer small weights and no bias, so that the first loss is ln(classes).

    timm's EfficientNets start theirs at 1 / sqrt(classes): with few classes the first logits are
    large and wrong. 13 landmarks, pretrained B0, before any training: a loss of 4.94, now 2.58
    (guessing: 2.56).
    """
    head = _head(model)
    if isinstance(head, nn.Linear):
        nn.init.normal_(head.weight, std=0.01)
        if head.bias is not None:
            nn.init.zeros_(head.bias)


def _replace_head(model: nn.Module, num_classes: int) -> None:
    head = _head(model)
    if not isinstance(head, nn.Linear):
        kind = type(head).__name__
        raise ConfigError(
            f"--model.head cosine needs a model whose last layer is linear, not {kind}"
        )
    model.set_submodule(_head_name(model), CosineHead(head.in_features, num_classes))


def _move_strides(model: nn.Module) -> None:
    """Stride in the first 1x1 convolution, as in ResNet v1; the weights fit both layouts."""
    blocks = [module for module in model.modules() if isinstance(module, Bottleneck)]
    if not blocks:
        raise ConfigError("--model.stride-in-1x1 is for ResNets with bottleneck blocks")
    for block in blocks:
        conv1, conv2 = cast(nn.Conv2d, block.conv1), cast(nn.Conv2d, block.conv2)
        conv1.stride, conv2.stride = conv2.stride, conv1.stride
