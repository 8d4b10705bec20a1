"""Checkpoints are written in the background: training waits for a copy, and hears of failures."""

from __future__ import annotations

import threading
from pathlib import Path
from typing import Any

import pytest
import torch

from glr_fast import checkpoint, checkpoint_writer
from glr_fast.checkpoint import TrainState, load_weights
from glr_fast.checkpoint_writer import CheckpointWriter, Parts
from glr_fast.errors import TrainingError

EXPORT = {"model.json": b"{}"}


def state(step: int, evaluated: bool = True) -> TrainState:
    return TrainState(step, 3, "abc", None, (0.0, 0.0, 0.0), evaluated)


def parts(value: float) -> Parts:
    weights = {"weight": torch.full((1000,), value), "count": torch.tensor(int(value))}
    moments = {"state": {0: {"exp_avg": torch.full((1000,), value)}}, "param_groups": [{"lr": 0.1}]}
    return Parts(weights, moments)


def test_training_waits_for_the_copy_not_for_the_disk(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The disk does not answer until the gate is opened."""
    gate, published = threading.Event(), threading.Event()
    publish = checkpoint_writer.publish

    def slowly(*arguments: Any) -> None:
        assert gate.wait(60)
        publish(*arguments)
        published.set()

    monkeypatch.setattr(checkpoint_writer, "publish", slowly)
    writer = CheckpointWriter(tmp_path, keep=2)
    now = parts(1)
    writer.save(state(1), now, EXPORT)
    now.model["weight"].fill_(7)  # training goes on: the checkpoint has what was
    now.optimizer["state"][0]["exp_avg"].fill_(7)
    writer.poll()
    writer.evaluated(1, {"accuracy": 0.5}, now.model, EXPORT)  # of the same step: no new copy
    assert not published.is_set()
    threading.Timer(0.2, gate.set).start()
    writer.save(state(2), now, EXPORT)  # waits for the one before
    assert published.is_set()
    writer.wait()
    writer.close()
    first, second = checkpoint.checkpoint_folders(tmp_path)
    assert load_weights(first)[0]["weight"][0] == 1
    assert load_weights(second)[0]["weight"][0] == 7
    assert torch.load(first / "optimizer.bin")["state"][0]["exp_avg"][0] == 1
    weights, note = load_weights(tmp_path / "best")
    assert weights["weight"][0] == 1
    assert note == {"step": "1", "accuracy": "0.5"}


def test_the_first_save_finds_its_memory_reserved(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    made: list[torch.Tensor] = []
    monkeypatch.setattr(checkpoint_writer, "room_for", lambda value: made.append(value) or value)
    writer, room, now = CheckpointWriter(tmp_path, keep=2), parts(0), parts(3)
    writer.reserve(lambda: room)
    writer.reserve(lambda: pytest.fail("once is enough"))
    writer.save(state(1), now, EXPORT)
    writer.wait()
    writer.close()
    assert len(made) == 1
    assert room.model["weight"][0] == 3  # the copy is made where there was room
    assert load_weights(tmp_path / "checkpoints" / "step-00000001")[0]["weight"][0] == 3


def test_what_fails_in_the_background_is_heard_of(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    writer = CheckpointWriter(tmp_path, keep=2)
    writer.save(state(1), parts(1), EXPORT)
    writer.wait()

    def full(*_: Any) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(checkpoint_writer, "publish", full)
    writer.save(state(2), parts(2), EXPORT)
    said = "No space left on device.*step-00000001, is whole; make room.*--resume"
    with pytest.raises(TrainingError, match=said):
        writer.wait()
    writer.close()
    assert [path.name for path in (tmp_path / "checkpoints").iterdir()] == ["step-00000001"]


def test_a_checkpoint_knows_whether_its_evaluation_was_made(tmp_path: Path) -> None:
    writer = CheckpointWriter(tmp_path, keep=2)
    writer.save(state(1, evaluated=False), parts(1), EXPORT)
    writer.wait()
    folder = tmp_path / "checkpoints" / "step-00000001"
    assert not TrainState.read(folder).evaluated
    writer.evaluated(1, {"accuracy": 0.5}, None, EXPORT)
    writer.wait()
    writer.close()
    assert TrainState.read(folder).evaluated
    assert TrainState.read(folder).best == {"accuracy": 0.5}
    assert checkpoint.damage_of(folder) is None
    assert not (tmp_path / "best").exists()  # no better than what was


def test_best_weights_that_are_not_finite_are_not_written(tmp_path: Path) -> None:
    writer = CheckpointWriter(tmp_path, keep=2)
    weights = {"weight": torch.tensor([1.0, torch.inf])}
    writer.evaluated(1, {"accuracy": 0.5}, weights, EXPORT)
    with pytest.raises(TrainingError, match="weight is not finite at step 1"):
        writer.wait()
    writer.close()
    assert not (tmp_path / "best").exists()
