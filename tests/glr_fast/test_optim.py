"""The optimiser: which one, and the learning rate and weight decay of each parameter."""

from __future__ import annotations

import pytest
import timm
import torch
from torch import nn

from glr_fast.config import OptimConfig
from glr_fast.heads import head_parameters
from glr_fast.optim import build_optimizer, parameter_groups, set_lr
from tests.glr_fast.test_models import build


def test_a_rate_reaches_the_head_whole_and_the_backbone_scaled() -> None:
    model = build(5)
    optimizer = build_optimizer(OptimConfig(lr=1.0, backbone_lr_scale=0.25), model)
    set_lr(optimizer, 0.08)
    head = head_parameters(model)
    rates = {id(p): g["lr"] for g in optimizer.param_groups for p in g["params"]}
    assert set(rates) == {id(p) for p in model.parameters()}
    for parameter, rate in rates.items():
        assert rate == pytest.approx(0.08 if parameter in head else 0.02)


def test_a_step_moves_by_the_rate_that_was_set() -> None:
    model = build(5)
    optimizer = build_optimizer(
        OptimConfig(name="sgd", lr=9.0, momentum=0.0, weight_decay=0.0, backbone_lr_scale=0.5),
        model,
    )
    set_lr(optimizer, 0.1)
    before = [parameter.detach().clone() for parameter in model.parameters()]
    for parameter in model.parameters():
        parameter.grad = torch.ones_like(parameter)
    optimizer.step()
    head = head_parameters(model)
    for parameter, old in zip(model.parameters(), before, strict=True):
        moved = 0.1 if id(parameter) in head else 0.05
        torch.testing.assert_close(parameter.detach(), old - moved)


@pytest.mark.parametrize(("momentum", "nesterov"), [(0.9, True), (0.0, False)])
def test_sgd_has_nesterov_momentum_where_it_has_any(momentum: float, nesterov: bool) -> None:
    optimizer = build_optimizer(OptimConfig(name="sgd", momentum=momentum), build(3))
    assert isinstance(optimizer, torch.optim.SGD)
    assert optimizer.defaults["momentum"] == momentum
    assert optimizer.defaults["nesterov"] == nesterov


def test_what_a_model_names_is_not_decayed() -> None:
    model: nn.Module = timm.create_model("test_vit", num_classes=3)
    named = dict(model.named_parameters())
    undecayed = {
        id(parameter)
        for group in parameter_groups(OptimConfig(weight_decay=0.1), model)
        for parameter in group["params"]
        if group["weight_decay"] == 0
    }
    assert named["pos_embed"].ndim > 1  # it would be decayed by its shape
    assert id(named["pos_embed"]) in undecayed
    assert id(named["blocks.0.mlp.fc1.weight"]) not in undecayed
