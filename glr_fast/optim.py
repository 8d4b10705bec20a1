"""The optimiser and its parameter groups."""

from __future__ import annotations

from typing import Any, cast

import torch
from timm.optim._param_groups import param_groups_weight_decay
from torch import nn
from torch.optim import Optimizer

from glr_fast.config import OptimConfig
from glr_fast.heads import head_parameters


def build_optimizer(config: OptimConfig, model: nn.Module) -> Optimizer:
    """AdamW, or SGD with Nesterov momentum, over the groups of ``parameter_groups``."""
    groups = parameter_groups(config, model)
    if config.name == "sgd":
        nesterov = config.momentum > 0
        return torch.optim.SGD(groups, lr=config.lr, momentum=config.momentum, nesterov=nesterov)
    # One pass over the parameters: 0.10 s a step where torch's default takes 0.61 to 1.15 s for
    # the 166 million parameters of 81,313 classes on two cores.
    devices = {parameter.device.type for group in groups for parameter in group["params"]}
    return torch.optim.AdamW(groups, lr=config.lr, fused=devices <= {"cpu", "cuda"})


def parameter_groups(config: OptimConfig, model: nn.Module) -> list[dict[str, Any]]:
    """Groups with their ``weight_decay`` (0 for norms and biases) and ``lr_scale`` (1 in the head).

    Every parameter is in a group, a frozen one too: it has no gradient until it is freed, and the
    optimiser passes over it.
    """
    no_decay = getattr(model, "no_weight_decay", set)
    head = head_parameters(model)
    groups = []
    for group in param_groups_weight_decay(
        model, config.weight_decay, no_weight_decay_list=tuple(cast(Any, no_decay)())
    ):
        for scale, in_head in ((1.0, True), (config.backbone_lr_scale, False)):
            chosen = [p for p in group["params"] if (id(p) in head) == in_head]
            if chosen:
                groups.append({**group, "params": chosen, "lr_scale": scale})
    return groups


def set_lr(optimizer: Optimizer, lr: float) -> None:
    """Give every group its learning rate: ``lr`` times the group's ``lr_scale``."""
    for group in optimizer.param_groups:
        group["lr"] = lr * group["lr_scale"]
