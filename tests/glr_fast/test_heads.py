"""Heads and pooling, and the card that builds them again."""

from __future__ import annotations

import json
import math
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import safetensors.torch
import timm
import torch
from torch import nn

from glr_fast import models
from glr_fast.config import Config, ModelConfig, OptimConfig
from glr_fast.errors import ConfigError
from glr_fast.heads import CosineHead, Float32Linear, GeM, classifier, classifier_name
from glr_fast.model_card import ModelCard
from glr_fast.optim import parameter_groups
from glr_fast.trained_model import load_model
from glr_fast.warm_start import start_from
from tests.glr_fast.test_models import build
from tests.helpers.untrained import CARD, write_run


def test_cosine_head_is_bounded_and_float32_under_autocast() -> None:
    model = build(6, head="cosine")
    with torch.autocast("cpu", dtype=torch.bfloat16):
        out = model(torch.randn(3, 3, 64, 64))
    assert out.dtype == torch.float32
    assert out.abs().max() <= 1 + 1e-5
    head = model.get_submodule(classifier_name(model))
    assert isinstance(head, CosineHead)


@pytest.mark.parametrize("name", ["test_resnet", "test_efficientnet"])
def test_the_first_loss_is_that_of_guessing(name: str) -> None:
    torch.manual_seed(0)
    model = build(13, name=name)
    head = classifier(model)
    assert isinstance(head, nn.Linear)
    assert head.weight.std().item() == pytest.approx(0.01, rel=0.1)
    assert not head.bias.any()
    logits = model(torch.randn(16, 3, 64, 64))
    loss = nn.functional.cross_entropy(logits, torch.arange(16) % 13)
    assert loss.item() == pytest.approx(math.log(13), abs=0.1)


def test_a_cosine_head_starts_with_centers_of_unit_length() -> None:
    torch.manual_seed(0)
    weight = CosineHead(400, 50).weight
    assert weight.norm(dim=1).mean().item() == pytest.approx(1, abs=0.05)


def test_sub_centers_take_the_nearest() -> None:
    torch.manual_seed(0)
    head = CosineHead(4, 3, scale=30.0, sub_centers=2)
    features = torch.randn(5, 4)
    weights = head.weight.detach().view(3, 2, 4)
    cosines = nn.functional.cosine_similarity(features[:, None, None], weights[None], dim=-1)
    torch.testing.assert_close(head(features), 30 * cosines.max(2).values, rtol=1e-4, atol=1e-4)
    head(features)[:, 0].sum().backward()
    assert head.weight.grad is not None
    # Only the nearest center of a class learns from a photo, and no other class does.
    assert (head.weight.grad[2:] == 0).all()


def test_gem_by_hand_and_between_mean_and_maximum() -> None:
    maps = torch.rand(2, 3, 4, 4) + 0.1
    expected = maps.double().pow(3).mean((2, 3)).pow(1 / 3).float()
    torch.testing.assert_close(GeM()(maps), expected)
    torch.testing.assert_close(GeM(p=1.0)(maps), maps.mean((2, 3)))
    torch.testing.assert_close(GeM(p=200.0)(maps), maps.amax((2, 3)), rtol=0.02, atol=0)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        assert GeM()(maps.bfloat16()).dtype == torch.float32


@pytest.mark.parametrize("name", ["test_resnet", "test_efficientnet"])
def test_gem_learns_its_exponent_without_decay_with_the_backbone(name: str) -> None:
    model = build(5, name=name, pool="gem")
    pools = [module for module in model.modules() if isinstance(module, GeM)]
    assert len(pools) == 1
    model(torch.randn(4, 3, 64, 64)).logsumexp(1).sum().backward()
    p = pools[0].p
    assert p.grad is not None
    assert p.grad.abs() > 0
    group = next(
        group
        for group in parameter_groups(OptimConfig(), model)
        if any(parameter is p for parameter in group["params"])
    )
    assert group["weight_decay"] == 0
    assert group["lr_scale"] == OptimConfig().backbone_lr_scale


def test_gem_where_there_is_no_pooling_is_one_line() -> None:
    with pytest.raises(ConfigError, match=r"--model\.pool gem needs a model with one average pool"):
        build(5, name="test_vit", pool="gem")


def test_weights_fit_a_model_with_gem(tmp_path: Path) -> None:
    weights = tmp_path / "w.safetensors"
    halves = {name: value.half() for name, value in build(1000).state_dict().items()}
    safetensors.torch.save_file(halves, weights)
    given = safetensors.torch.load_file(weights)
    model = build(5, weights=weights, pool="gem")
    name, value = next(iter(model.named_parameters()))
    torch.testing.assert_close(value.half(), given[name], rtol=0, atol=0)
    assert isinstance(model.get_submodule("global_pool"), GeM)


def test_a_float32_head_stays_in_float32_with_the_same_weights() -> None:
    torch.manual_seed(0)
    plain = build(6)
    torch.manual_seed(0)
    model = build(6, float32_head=True)
    assert model.state_dict().keys() == plain.state_dict().keys()
    assert isinstance(classifier(model), Float32Linear)
    features = torch.randn(3, model.num_features, dtype=torch.bfloat16)  # type: ignore[arg-type]
    with torch.autocast("cpu", dtype=torch.bfloat16):
        out = classifier(model)(features)
        rounded = classifier(plain)(features)
    assert out.dtype == torch.float32
    assert rounded.dtype == torch.bfloat16
    assert torch.equal(out, classifier(plain)(features.float()))
    assert sum(p.numel() for p in model.parameters()) == sum(p.numel() for p in plain.parameters())


HEADS: list[dict[str, Any]] = [
    {"head": "linear"},
    {"head": "linear", "float32_head": True, "pool": "gem"},
    {"head": "cosine"},
    {"head": "subcenter", "sub_centers": 2, "pool": "gem"},
]


@pytest.mark.parametrize("fields", HEADS, ids=str)
def test_card_round_trip_builds_the_same_model(fields: dict[str, Any]) -> None:
    model_config = ModelConfig(**{"name": "test_resnet", "pretrained": False} | fields)
    config = Config(model=model_config)
    model = models.build_model(config.model, 9, config.head_scale)
    card = ModelCard.of(model, config, 9)
    again = ModelCard.from_json(card.to_json(), "file.json")
    assert again == card
    built = again.build().eval()
    built.load_state_dict(model.state_dict())
    images = torch.randn(2, 3, 64, 64)
    assert torch.equal(built(images), model.eval()(images))
    with pytest.raises(ConfigError, match=r"file\.json: not a model card"):
        ModelCard.from_json("{}", "file.json")


def test_a_card_from_before_the_scale_went_into_the_head_gives_the_same_probabilities() -> None:
    old = ModelCard("test_resnet", 9, "cosine", 64, (0.5, 0.5, 0.5), (0.2, 0.2, 0.2), 30.0)
    raw = json.loads(old.to_json())
    for name in ("head_scale", "sub_centers", "pool", "float32_head"):
        del raw[name]
    card = ModelCard.from_json(json.dumps(raw), "file.json")
    head = classifier(card.build())
    assert isinstance(head, CosineHead)
    assert head.scale * card.logit_scale == 30


def weight_of(model: nn.Module) -> torch.Tensor:
    weight = classifier(model).weight
    assert isinstance(weight, torch.Tensor)
    return weight.detach()


@pytest.mark.parametrize("centers", [1, 2])
def test_a_head_is_taken_over_class_by_class(tmp_path: Path, centers: int) -> None:
    kind = "cosine" if centers == 1 else "subcenter"
    card = replace(CARD, head=kind, sub_centers=centers)
    old = write_run(tmp_path / "old", card)  # of landmarks 7, 8, 9
    ours = replace(card, num_classes=4)
    model = ours.build()
    before = weight_of(model).clone()
    said = start_from(model, ours, ["9", "7", "5", "6"], load_model(old, device="cpu"))
    assert "the head's rows of 2 of 4 classes" in said
    theirs = weight_of(load_model(old, device="cpu").module)
    rows = weight_of(model).view(4, centers, -1)
    torch.testing.assert_close(rows[[0, 1]], theirs.view(3, centers, -1)[[2, 0]])
    torch.testing.assert_close(rows[[2, 3]], before.view(4, centers, -1)[[2, 3]])


def test_a_network_with_two_last_layers_is_one_line() -> None:
    with pytest.raises(ConfigError, match="has several last layers"):
        classifier(timm.create_model("deit_tiny_distilled_patch16_224", num_classes=3))


def test_a_mistyped_tag_is_one_line() -> None:
    with pytest.raises(ConfigError, match=r"--model\.name resnet50\.typo: Invalid pretrained tag"):
        models.check_name("resnet50.typo")
    models.check_name("resnet50.a1_in1k")
