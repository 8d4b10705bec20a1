"""Checkpoints appear whole or not at all, and what is written can be read by another model."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import nn

from glr_fast import checkpoint
from glr_fast.checkpoint import TrainState
from glr_fast.checkpoint_writer import Parts, load_checkpoint, write_checkpoint
from glr_fast.errors import ConfigError, TrainingError
from glr_fast.logbook import forget_after

EXPORT = {"model.json": b"{}", "classes.parquet": b"x"}


def state(step: int) -> TrainState:
    best = {"accuracy": 0.1, "macro_f1": 0.2}
    return TrainState(step=step, num_classes=3, store="abc", best=best, window=(0.1, 2.0, 8.0))


def trained() -> tuple[nn.Module, torch.optim.Optimizer]:
    """A model after one update, channels-last as ours are."""
    model = nn.Sequential(nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4))
    model = model.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
    optimizer = torch.optim.AdamW(model.parameters())
    model(torch.randn(2, 3, 8, 8)).sum().backward()
    optimizer.step()
    return model, optimizer


def write(run: Path, step: int, keep: int = 2) -> Path:
    model, optimizer = trained()
    parts = Parts(model.state_dict(), optimizer.state_dict())
    return write_checkpoint(run, state(step), parts, EXPORT, keep)


def test_a_checkpoint_comes_back(tmp_path: Path) -> None:
    model, optimizer = trained()
    parts = Parts(model.state_dict(), optimizer.state_dict())
    folder = write_checkpoint(tmp_path, state(12), parts, EXPORT, keep=2)
    assert checkpoint.newest_checkpoint(tmp_path) == folder
    assert checkpoint.damage_of(folder) is None
    assert TrainState.read(folder) == state(12)
    other, moments = trained()
    load_checkpoint(folder, other, moments)
    for key, value in other.state_dict().items():
        assert torch.equal(value, model.state_dict()[key])
    for key, value in moments.state_dict()["state"][0].items():
        assert torch.equal(value, optimizer.state_dict()["state"][0][key])


def test_only_the_newest_stay_and_strangers_do_not_count(tmp_path: Path) -> None:
    for stray in ("step-backup", "step-99999999999.old", "step-123"):
        (tmp_path / "checkpoints" / stray).mkdir(parents=True)
    (tmp_path / "checkpoints" / "step-00000900").write_text("a file")
    for step in (5, 10, 100, 110):
        write(tmp_path, step)
    names = [folder.name for folder in checkpoint.checkpoint_folders(tmp_path)]
    assert names == ["step-00000100", "step-00000110"]
    assert (tmp_path / "checkpoints" / "step-backup").is_dir()
    write(tmp_path, 107, keep=1)  # 110 was damaged, and the run went on from 100
    names = [folder.name for folder in checkpoint.checkpoint_folders(tmp_path)]
    assert names == ["step-00000107"]


@pytest.mark.parametrize("broken", ["torch.save", "publish", "write_weights"])
def test_a_write_that_fails_leaves_the_old_checkpoint(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, broken: str
) -> None:
    first = write(tmp_path, 1, keep=1)

    def fail(*_: Any, **__: Any) -> None:
        raise OSError("no space left on device")

    with monkeypatch.context() as patch:
        patch.setattr(f"glr_fast.checkpoint_writer.{broken}", fail)
        with pytest.raises(OSError, match="no space"):
            write(tmp_path, 2, keep=1)
    assert [path.name for path in (tmp_path / "checkpoints").iterdir()] == [first.name]
    assert TrainState.read(first).step == 1
    assert checkpoint.checkpoint_folders(tmp_path) == [first]
    (tmp_path / "checkpoints" / ".step-00000009.tmp").mkdir()  # of a run that was killed
    second = write(tmp_path, 2, keep=1)
    assert [path.name for path in (tmp_path / "checkpoints").iterdir()] == [second.name]


@pytest.mark.parametrize(
    "name", ["model.safetensors", "optimizer.bin", "model.json", "classes.parquet", "trainer.json"]
)
@pytest.mark.parametrize("how", ["cut", "flipped", "gone"])
def test_a_damaged_checkpoint_is_passed_over(tmp_path: Path, name: str, how: str) -> None:
    older, newest = write(tmp_path, 1), write(tmp_path, 2)
    file, warnings = newest / name, []
    content = file.read_bytes()
    middle = len(content) // 2
    if how == "gone":
        file.unlink()
    else:
        changed = content[:middle] + bytes([content[middle] ^ 1]) + content[middle + 1 :]
        file.write_bytes(content[:middle] if how == "cut" else changed)
    assert checkpoint.newest_usable_checkpoint(tmp_path, warnings.append) == older
    assert len(warnings) == 1
    assert str(file) in warnings[0]
    assert "continuing from step-00000001" in warnings[0]
    (older / "model.safetensors").write_bytes(b"")
    with pytest.raises(ConfigError, match=f"{file}.*no other checkpoint .* can be used"):
        checkpoint.newest_usable_checkpoint(tmp_path, warnings.append)


def test_weights_that_are_not_finite_are_not_saved(tmp_path: Path) -> None:
    model, optimizer = trained()
    with torch.no_grad():
        model[0].weight[0, 0, 0, 0] = torch.nan  # type: ignore[index,union-attr]
    parts = Parts(model.state_dict(), optimizer.state_dict())
    with pytest.raises(TrainingError, match=r"0\.weight is not finite at step 3"):
        write_checkpoint(tmp_path, state(3), parts, EXPORT, keep=1)
    assert not (tmp_path / "checkpoints").exists()


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

    monkeypatch.setattr(checkpoint, "sync", fail)
    with pytest.raises(OSError, match="no space"):
        checkpoint.save_best(tmp_path, nn.Linear(2, 2), EXPORT, {"step": 9})
    again, note = checkpoint.load_weights(tmp_path / "best")
    assert torch.equal(again["weight"], model.weight)
    assert note["step"] == "7"


@pytest.mark.parametrize("umask", [0o022, 0o007])
def test_files_have_the_mode_that_the_umask_gives(tmp_path: Path, umask: int) -> None:
    before = os.umask(umask)
    try:
        folder = write(tmp_path, 1)
        checkpoint.save_best(tmp_path, nn.Linear(2, 2), EXPORT, {})
    finally:
        os.umask(before)
    files = [file for place in (folder, tmp_path / "best") for file in place.iterdir()]
    assert {"model.safetensors", "optimizer.bin"} <= {file.name for file in files}
    assert {file.name: file.stat().st_mode & 0o777 for file in files} == dict.fromkeys(
        [file.name for file in files], 0o666 & ~umask
    )


def test_find_export(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="no checkpoint 'best'; it has stopped before"):
        checkpoint.find_export(tmp_path, "best")
    folder = write(tmp_path, 3)
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


def test_the_line_of_an_evaluation_to_be_made_again_is_forgotten(tmp_path: Path) -> None:
    file = tmp_path / "metrics.jsonl"
    lines = ['{"step": 5, "train/loss": 1}\n', '{"step": 5, "val/loss": 1}\n']
    file.write_text("".join(lines))
    forget_after(file, 5, evaluated=True)
    assert file.read_text() == "".join(lines)
    forget_after(file, 5, evaluated=False)
    assert file.read_text() == lines[0]


def test_a_scaler_starts_anew_after_a_run_in_another_precision(tmp_path: Path) -> None:
    model, optimizer = trained()
    parts = Parts(model.state_dict(), optimizer.state_dict())
    without = write_checkpoint(tmp_path / "bf16", state(1), parts, EXPORT, keep=2)
    scaler = torch.amp.GradScaler("cpu", init_scale=64.0)
    scaler.scale(torch.ones(()))  # makes its state
    load_checkpoint(without, model, optimizer, scaler)
    assert scaler.state_dict()["scale"] == 64.0
    parts = Parts(model.state_dict(), optimizer.state_dict(), scaler.state_dict())
    with_scale = write_checkpoint(tmp_path / "fp16", state(1), parts, EXPORT, keep=2)
    other = torch.amp.GradScaler("cpu", init_scale=2.0)
    load_checkpoint(with_scale, model, optimizer, other)
    assert other.state_dict()["scale"] == 64.0


def test_an_average_and_what_is_trained_both_come_back(tmp_path: Path) -> None:
    model, optimizer = trained()
    average, _ = trained()
    parts = Parts(average.state_dict(), optimizer.state_dict(), trained=model.state_dict())
    folder = write_checkpoint(tmp_path, state(3), parts, EXPORT, keep=2)
    assert checkpoint.damage_of(folder) is None
    exported, _ = checkpoint.load_weights(folder)
    for key, value in average.state_dict().items():
        assert torch.equal(exported[key], value)
    (other, moments), (mean, _) = trained(), trained()
    load_checkpoint(folder, other, moments, average=mean)
    for key, value in model.state_dict().items():
        assert torch.equal(other.state_dict()[key], value)
        assert torch.equal(mean.state_dict()[key], average.state_dict()[key])
    (folder / "trained.safetensors").write_bytes(b"")
    damage = checkpoint.damage_of(folder)
    assert damage is not None
    assert "trained.safetensors" in damage
