from __future__ import annotations

import math
import shutil
from pathlib import Path
from typing import Any

import pytest
import safetensors.torch
import torch
from torch import nn

from glr_fast import models
from glr_fast.config import ModelConfig, OptimConfig
from glr_fast.data import normalise
from glr_fast.errors import ConfigError
from glr_fast.optim import build_optimizer, parameter_groups, set_lr

TINY = ModelConfig(name="test_resnet", pretrained=False)


def build(classes: int = 5, **fields: Any) -> nn.Module:
    return models.build_model(
        ModelConfig(**{"name": TINY.name, "pretrained": False} | fields), classes
    )  # type: ignore[arg-type]


@pytest.fixture
def weights(tmp_path: Path) -> Path:
    """Weights of the tiny model with 1000 classes, half precision, without counters."""
    state = build(1000).state_dict()
    state = {k: v.half() for k, v in state.items() if not k.endswith("num_batches_tracked")}
    safetensors.torch.save_file(state, tmp_path / "w.safetensors")
    return tmp_path / "w.safetensors"


def test_last_layer_has_the_classes() -> None:
    assert build(7)(torch.zeros(2, 3, 64, 64)).shape == (2, 7)


@pytest.mark.parametrize("name", ["test_efficientnet", "test_resnet", "test_vit"])
def test_a_new_head_starts_by_guessing(name: str) -> None:
    """timm's own start costs an EfficientNet of 13 classes a nat more than guessing."""
    size = 160 if name == "test_vit" else 64
    logits = build(13, name=name)(torch.randn(8, 3, size, size))
    loss = nn.functional.cross_entropy(logits, torch.arange(8))
    assert abs(loss.item() - math.log(13)) < 0.2


def test_weights_fill_all_but_the_last_layer_in_float32(weights: Path) -> None:
    model = build(5, weights=weights)
    given = safetensors.torch.load_file(weights)
    head = models.head_parameters(model)
    for name, value in model.named_parameters():
        assert value.dtype == torch.float32
        if id(value) not in head:
            torch.testing.assert_close(value.half(), given[name], rtol=0, atol=0)


def test_pth_with_wrappers_is_read(weights: Path, tmp_path: Path) -> None:
    state = {f"module.{k}": v for k, v in safetensors.torch.load_file(weights).items()}
    torch.save({"state_dict": state, "epoch": 3}, tmp_path / "w.pth")
    a, b = build(weights=weights), build(weights=tmp_path / "w.pth")
    name = next(iter(a.state_dict()))
    assert torch.equal(a.state_dict()[name], b.state_dict()[name])


def test_weights_of_a_tf_model_are_warned_of(
    weights: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Their tensors fit a model without ``tf_``, whose padding and epsilon differ."""
    build(weights=weights)
    assert not capsys.readouterr().err
    folder = tmp_path / "models--timm--tf_efficientnet_b0.ns_jft_in1k"
    folder.mkdir()
    shutil.copy(weights, folder / "model.safetensors")
    build(weights=folder / "model.safetensors")
    said = capsys.readouterr().err
    assert said.startswith(f"warning: --model.weights {folder}")
    assert said.count("\n") == 1


def test_weights_of_another_architecture_name_the_mismatches(
    weights: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = Path(shutil.copy(weights, tmp_path / "tf_efficientnet_b0.safetensors"))
    with pytest.raises(ConfigError) as caught:
        build(name="test_efficientnet", weights=file)
    assert not capsys.readouterr().err  # "the tensors fit" would be wrong
    message = str(caught.value)
    assert "another architecture: 0 of the" in message
    assert "conv_stem.weight is missing" in message
    assert "\n" not in message


def test_one_tensor_of_another_shape_is_refused(weights: Path, tmp_path: Path) -> None:
    state = safetensors.torch.load_file(weights)
    name = next(k for k, v in state.items() if v.ndim == 4)
    state[name] = state[name][:-1].contiguous()
    safetensors.torch.save_file(state, tmp_path / "bad.safetensors")
    with pytest.raises(ConfigError, match=f"{name} is .*, not "):
        build(weights=tmp_path / "bad.safetensors")


@pytest.mark.parametrize(
    "name", ["missing.safetensors", "text.safetensors", "text.pth", "list.pth"]
)
def test_a_file_without_weights_is_one_clear_line(tmp_path: Path, name: str) -> None:
    (tmp_path / "text.safetensors").write_text("not weights at all")
    (tmp_path / "text.pth").write_text("not weights at all")
    torch.save([1, 2], tmp_path / "list.pth")
    with pytest.raises(ConfigError, match=name) as caught:
        build(weights=tmp_path / name)
    assert "\n" not in str(caught.value)


def test_unknown_model_names_similar_ones() -> None:
    with pytest.raises(ConfigError, match="timm has no such model; did you mean resnet50"):
        build(name="resnet5O")


def test_of_names_that_are_as_near_the_smallest_comes_first() -> None:
    with pytest.raises(ConfigError, match="did you mean tf_efficientnet_b0, tf_efficientnet_b1"):
        build(name="tf_efficientnet_bo")


def test_no_hub_is_one_line_that_says_what_to_do(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(models.huggingface_hub.constants, "HF_HUB_OFFLINE", False)
    monkeypatch.setattr(models, "hub_reachable", lambda: False)
    monkeypatch.setattr(models.huggingface_hub.constants, "HF_HUB_CACHE", "/nonexistent")
    with pytest.raises(ConfigError, match=r"--model\.weights FILE.*--model\.no-pretrained"):
        build(pretrained=True, name="resnet18")


@pytest.mark.parametrize("text", ["It is gone.", "It is gone. Look\nelsewhere.", "It is gone"])
def test_of_what_the_hub_says_the_first_sentence_is_shown(
    text: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: object, **__: object) -> None:
        raise RuntimeError(text)

    monkeypatch.setattr(models, "hub_reachable", lambda: True)
    monkeypatch.setattr(models.timm, "create_model", fail)
    with pytest.raises(ConfigError, match=r"timm's hub \(It is gone\); give a file"):
        build(pretrained=True, name="resnet18")


def test_adamw_is_fused_and_updates_as_the_plain_one() -> None:
    torch.manual_seed(0)
    model, other = build(4), build(4)
    other.load_state_dict(model.state_dict())
    fused = build_optimizer(OptimConfig(lr=0.01), model)
    plain = torch.optim.AdamW(parameter_groups(OptimConfig(lr=0.01), other), lr=0.01, fused=False)
    assert fused.defaults["fused"] is True
    images = torch.randn(4, 3, 64, 64)
    for _ in range(3):
        for net, optimizer in ((model, fused), (other, plain)):
            net(images).logsumexp(1).sum().backward()
            optimizer.step()
            optimizer.zero_grad()
    for mine, theirs in zip(model.parameters(), other.parameters(), strict=True):
        torch.testing.assert_close(mine, theirs, rtol=1e-3, atol=1e-4)


def test_frozen_backbone_keeps_weights_and_statistics() -> None:
    model = build(4)
    before = {k: v.clone() for k, v in model.state_dict().items()}
    optimizer = build_optimizer(OptimConfig(lr=0.1, weight_decay=0.1), model)
    models.set_frozen(model, True)
    models.train_mode(model, True)
    set_lr(optimizer, 0.1)
    for _ in range(3):
        model(torch.randn(4, 3, 64, 64)).logsumexp(1).sum().backward()
        optimizer.step()
        optimizer.zero_grad()
    changed = {k for k, v in model.state_dict().items() if not torch.equal(v, before[k])}
    assert changed == {"fc.weight", "fc.bias"}
    models.set_frozen(model, False)
    models.train_mode(model, False)
    assert all(p.requires_grad for p in model.parameters())
    assert all(m.training for m in model.modules())


@pytest.mark.parametrize("fixed", [True, False])
def test_fixed_batch_norms_keep_their_statistics_while_weights_train(fixed: bool) -> None:
    model = build(4)
    before = {k: v.clone() for k, v in model.state_dict().items()}
    optimizer = build_optimizer(OptimConfig(lr=0.1), model)
    models.train_mode(model, False, fixed)
    set_lr(optimizer, 0.1)
    model(torch.randn(4, 3, 64, 64)).logsumexp(1).sum().backward()
    optimizer.step()
    changed = {k for k, v in model.state_dict().items() if not torch.equal(v, before[k])}
    assert "bn1.weight" in changed
    assert ("bn1.running_mean" in changed) != fixed


def test_groups_decay_no_norms_and_scale_the_backbone() -> None:
    model = build(4)
    groups = parameter_groups(OptimConfig(weight_decay=0.05, backbone_lr_scale=0.2), model)
    placed = [id(p) for group in groups for p in group["params"]]
    assert sorted(placed) == sorted(id(p) for p in model.parameters())
    head = models.head_parameters(model)
    for group in groups:
        for parameter in group["params"]:
            assert group["weight_decay"] == (0.05 if parameter.ndim > 1 else 0.0)
            assert group["lr_scale"] == (1.0 if id(parameter) in head else 0.2)


def test_normalise_by_hand() -> None:
    images = torch.randint(0, 256, (2, 3, 4, 4), dtype=torch.uint8)
    images = images.to(memory_format=torch.channels_last)
    mean, std = (0.5, 0.4, 0.3), (0.2, 0.3, 0.4)
    out = normalise(images, mean, std)
    for channel in range(3):
        expected = (images[:, channel].double() / 255 - mean[channel]) / std[channel]
        torch.testing.assert_close(out[:, channel].double(), expected, rtol=1e-5, atol=1e-5)
    assert out.is_contiguous(memory_format=torch.channels_last)


@pytest.mark.slow
@pytest.mark.parametrize("name", ["resnet50", "tf_efficientnet_b0"])
def test_shared_weights_fit(shared: Path, name: str) -> None:
    build(13, name=name, weights=shared / "weights" / f"{name}.safetensors")
