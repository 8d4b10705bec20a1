"""Checkpoints appear whole or not at all, and what is written can be read by another model."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import torch
from accelerate import Accelerator
from torch import nn

from glr_fast import checkpoint
from glr_fast.checkpoint import TrainState
from glr_fast.errors import ConfigError
from glr_fast.logbook import forget_after

EXPORT = {"model.json": b"{}", "classes.parquet": b"x"}


def state(step: int) -> TrainState:
    return TrainState(step=step, num_classes=3, store="abc", best=0.1, window=(0.1, 2.0, 8.0))


@pytest.fixture
def accelerator() -> Accelerator:
    made = Accelerator(cpu=True)
    made._models.clear()
    model = nn.Sequential(nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4))
    model = model.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
    optimizer = torch.optim.AdamW(model.parameters())
    model(torch.randn(2, 3, 8, 8)).sum().backward()
    optimizer.step()
    made.prepare(model, optimizer)
    return made


def test_a_checkpoint_comes_back(accelerator: Accelerator, tmp_path: Path) -> None:
    folder = checkpoint.save_checkpoint(accelerator, tmp_path, state(12), EXPORT, keep=2)
    assert checkpoint.newest_checkpoint(tmp_path) == folder
    assert TrainState.read(folder) == state(12)
    model = accelerator._models[0]
    before = {k: v.clone() for k, v in model.state_dict().items()}
    moments = accelerator._optimizers[-1].state_dict()["state"][0]["exp_avg"].clone()
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.zero_()
    accelerator._optimizers[-1].state_dict()["state"][0]["exp_avg"].zero_()
    accelerator.load_state(str(folder))
    assert all(torch.equal(v, before[k]) for k, v in model.state_dict().items())
    assert torch.equal(accelerator._optimizers[-1].state_dict()["state"][0]["exp_avg"], moments)


def test_only_the_newest_stay(accelerator: Accelerator, tmp_path: Path) -> None:
    for step in (5, 10, 100, 20):
        checkpoint.save_checkpoint(accelerator, tmp_path, state(step), EXPORT, keep=2)
    names = [folder.name for folder in checkpoint.checkpoint_folders(tmp_path)]
    assert names == ["step-00000020", "step-00000100"]


@pytest.mark.parametrize("broken", ["save_state", "_publish"])
def test_a_write_that_fails_leaves_the_old_checkpoint(
    accelerator: Accelerator, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, broken: str
) -> None:
    first = checkpoint.save_checkpoint(accelerator, tmp_path, state(1), EXPORT, keep=1)

    def fail(*_: Any, **__: Any) -> None:
        raise OSError("no space left on device")

    owner: Any = accelerator if broken == "save_state" else checkpoint
    with monkeypatch.context() as patch:
        patch.setattr(owner, broken, fail)
        with pytest.raises(OSError, match="no space"):
            checkpoint.save_checkpoint(accelerator, tmp_path, state(2), EXPORT, keep=1)
    assert checkpoint.checkpoint_folders(tmp_path) == [first]
    assert TrainState.read(first).step == 1
    # The next attempt starts over in the same temporary folder.
    second = checkpoint.save_checkpoint(accelerator, tmp_path, state(2), EXPORT, keep=1)
    assert checkpoint.checkpoint_folders(tmp_path) == [second]


def test_best_weights_carry_their_note_and_survive_a_failed_write(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    model = nn.Linear(2, 2)
    checkpoint.save_best(tmp_path, model, EXPORT, {"step": 7, "accuracy": 0.5})
    weights, note = checkpoint.load_weights(tmp_path / "best")
    assert torch.equal(weights["weight"], model.weight)
    assert note == {"step": "7", "accuracy": "0.5"}

    def fail(*_: Any) -> None:
        raise OSError("no space left on device")

    monkeypatch.setattr(checkpoint, "_sync", fail)
    with pytest.raises(OSError, match="no space"):
        checkpoint.save_best(tmp_path, nn.Linear(2, 2), EXPORT, {"step": 9})
    again, note = checkpoint.load_weights(tmp_path / "best")
    assert torch.equal(again["weight"], model.weight)
    assert note["step"] == "7"


def test_find_export(accelerator: Accelerator, tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="no checkpoint 'best'; it has none"):
        checkpoint.find_export(tmp_path, "best")
    folder = checkpoint.save_checkpoint(accelerator, tmp_path, state(3), EXPORT, keep=1)
    assert checkpoint.find_export(tmp_path, "last") == folder
    assert checkpoint.find_export(tmp_path, "step-00000003") == folder
    with pytest.raises(ConfigError, match="it has last, step-00000003"):
        checkpoint.find_export(tmp_path, "best")
    with pytest.raises(ConfigError, match="no such run folder"):
        checkpoint.find_export(tmp_path / "x", "best")


@pytest.mark.parametrize("text", ["", "{}", '{"step": 1}'])
def test_a_damaged_state_is_one_line(tmp_path: Path, text: str) -> None:
    (tmp_path / "trainer.json").write_text(text)
    with pytest.raises(ConfigError, match=r"trainer\.json: not a checkpoint"):
        TrainState.read(tmp_path)


def test_lines_after_the_checkpoint_are_forgotten(tmp_path: Path) -> None:
    file = tmp_path / "metrics.jsonl"
    file.write_text("".join(json.dumps({"step": step}) + "\n" for step in (1, 5, 9)) + '{"step": 1')
    forget_after(file, 5)
    assert file.read_text() == '{"step": 1}\n{"step": 5}\n'
    forget_after(tmp_path / "none", 5)
