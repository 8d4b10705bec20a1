"""The last layers of a model: the classifier and the pooling before it; finding, replacing them."""

from __future__ import annotations

from typing import Any, cast

import torch
from timm.layers.adaptive_avgmax_pool import SelectAdaptivePool2d
from torch import Tensor, nn
from torch.nn import functional as F

from glr_fast.errors import ConfigError


class CosineHead(nn.Module):
    """Cosine of feature and class weight: no bias, both of length 1 (the head of LDAM's authors).

    Computed in float32 under autocast: with a scale of 30, bfloat16 cosines err by up to 0.1 logit.
    With ``sub_centers`` K over 1, each class has K weights and the nearest counts (Deng et al.,
    ECCV 2020, sub-center ArcFace): photos of a landmark from inside and outside need not agree.

    Args:
        in_features: of the features.
        num_classes: classes.
        scale: s, by which the cosines are multiplied. It is applied to the features, which are far
            fewer numbers than the cosines.
        sub_centers: K.
    """

    def __init__(
        self, in_features: int, num_classes: int, scale: float = 1.0, sub_centers: int = 1
    ) -> None:
        super().__init__()
        self.scale = scale
        self.sub_centers = sub_centers
        self.weight = nn.Parameter(torch.empty(num_classes * sub_centers, in_features))
        nn.init.normal_(self.weight, std=in_features**-0.5)

    def forward(self, features: Tensor) -> Tensor:
        """(B, in_features) to scaled cosines (B, num_classes), float32 in -s..s."""
        with torch.autocast(features.device.type, enabled=False):
            directions = F.normalize(features.float()) * self.scale
            cosines = F.linear(directions, F.normalize(self.weight.float()))
        if self.sub_centers == 1:
            return cosines
        return cosines.unflatten(1, (-1, self.sub_centers)).amax(2)


class Float32Linear(nn.Linear):
    """A linear layer that stays in float32 under autocast.

    Above 16, bfloat16 logits are multiples of 0.125, which is more than the LDAM margins of
    frequent classes.
    """

    def forward(self, input: Tensor) -> Tensor:
        """(B, in_features) of any float type to (B, out_features) float32."""
        with torch.autocast(input.device.type, enabled=False):
            return F.linear(input.float(), self.weight.float(), _float(self.bias))


class GeM(nn.Module):
    """Generalised-mean pooling, ``(mean x^p)^(1/p)``, with a learnt p (Radenovic et al. 2019).

    p = 1 is average pooling, p to infinity maximum pooling. Computed in float32 under autocast:
    cubes leave the range of float16.
    """

    def __init__(self, p: float = 3.0, eps: float = 1e-6) -> None:
        super().__init__()
        self.p = nn.Parameter(torch.tensor([p]))
        self.eps = eps

    def forward(self, features: Tensor) -> Tensor:
        """(B, F, H, W) to (B, F), float32. Negative features count as ``eps``."""
        with torch.autocast(features.device.type, enabled=False):
            p = self.p.float()
            return features.float().clamp(min=self.eps).pow(p).mean((2, 3)).pow(1 / p)


def head_parameters(model: nn.Module) -> set[int]:
    """Identities (``id``) of the parameters of the last layer."""
    return {id(parameter) for parameter in classifier(model).parameters()}


def classifier(model: nn.Module) -> nn.Module:
    """The last layer.

    Raises:
        ConfigError: there are several, as in networks that were distilled from a teacher.
    """
    found = cast(Any, model).get_classifier()
    if not isinstance(found, nn.Module):
        name = cast(Any, model).pretrained_cfg["architecture"]
        raise ConfigError(f"--model.name {name}: has several last layers; take another network")
    return found


def classifier_name(model: nn.Module) -> str:
    """The name of the last layer among the modules of the model."""
    head = classifier(model)
    return next(name for name, module in model.named_modules() if module is head)


def start_small(model: nn.Module) -> None:
    """Give a linear last layer small weights and no bias, so that the first loss is ln(classes).

    timm's EfficientNets start theirs at 1 / sqrt(classes): with few classes the first logits are
    large and wrong. 13 landmarks, pretrained B0, before any training: a loss of 4.94, now 2.58
    (guessing: 2.56).
    """
    head = classifier(model)
    if isinstance(head, nn.Linear):
        nn.init.normal_(head.weight, std=0.01)
        if head.bias is not None:
            nn.init.zeros_(head.bias)


def use_cosine_head(
    model: nn.Module, num_classes: int, scale: float = 1.0, sub_centers: int = 1
) -> None:
    """Replace a linear last layer by a :class:`CosineHead`.

    Raises:
        ConfigError: the last layer is not linear.
    """
    in_features = _linear(model, "--model.head cosine").in_features
    head = CosineHead(in_features, num_classes, scale, sub_centers)
    model.set_submodule(classifier_name(model), head)


def use_float32_head(model: nn.Module) -> None:
    """Let a linear last layer compute in float32 under autocast; its weights stay as they are.

    Raises:
        ConfigError: the last layer is not linear.
    """
    old = _linear(model, "--model.float32-head")
    new = Float32Linear(old.in_features, old.out_features, old.bias is not None, device="meta")
    new.weight, new.bias = old.weight, old.bias
    model.set_submodule(classifier_name(model), new)


def use_gem_pooling(model: nn.Module) -> None:
    """Replace the average pooling before the last layer by :class:`GeM`.

    Raises:
        ConfigError: the model does not pool maps of features to (B, F) in a layer of timm's.
    """
    pools = [
        name for name, module in model.named_modules() if isinstance(module, SelectAdaptivePool2d)
    ]
    layer = model.get_submodule(pools[0]) if len(pools) == 1 else None
    if not isinstance(layer, SelectAdaptivePool2d) or isinstance(layer.flatten, nn.Identity):
        raise ConfigError(
            "--model.pool gem needs a model with one average pooling before its last layer, such "
            f"as resnet50 or efficientnet_b0, not {type(model).__name__}"
        )
    model.set_submodule(pools[0], GeM())


def _linear(model: nn.Module, flag: str) -> nn.Linear:
    head = classifier(model)
    if not isinstance(head, nn.Linear):
        kind = type(head).__name__
        raise ConfigError(f"{flag} needs a model whose last layer is linear, not {kind}")
    return head


def _float(tensor: Tensor | None) -> Tensor | None:
    return None if tensor is None else tensor.float()
