"""The benchmark of training, whole and tiny; what its figures mean."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import torch

from benchmarks import bench_train
from benchmarks.train_step import Task, TrainStep, Turn, feed, long_tail, run


def test_a_step_changes_the_model_by_what_it_is_fed() -> None:
    task = Task("test_resnet", "ldam", classes=7, batch_size=4, image_size=32)
    step, batches = TrainStep(task), feed("synthetic", task, Path(), 0)
    before = [p.detach().clone() for p in step.model.parameters()]
    turn = run(step, batches, 2)
    moved = [bool((a != b).any()) for a, b in zip(before, step.model.parameters(), strict=True)]
    assert all(moved)
    assert turn.images == 8
    assert len(turn.steps) == 2
    assert sum(turn.steps) <= turn.seconds


def test_waiting_is_counted() -> None:
    import time

    def slow() -> bench_train.Any:
        while True:
            time.sleep(0.02)
            yield torch.zeros(2), torch.zeros(2)

    turn = run(lambda *_: None, slow(), 3)
    assert turn.waited > 0.055
    assert turn.percentile(0.5) > 0.018


def test_turns_are_joined() -> None:
    turn = Turn.joined([Turn(4, 1.0, 0.5, [0.5, 0.5]), Turn(4, 3.0, 0.5, [1.0, 2.0])])
    assert turn == Turn(8, 4.0, 1.0, [0.5, 0.5, 1.0, 2.0])
    assert turn.rate == 2
    assert turn.percentile(1) == 2


def test_the_tail_is_long() -> None:
    counts = long_tail(81_313)
    assert counts.max() == 6272
    assert counts.min() >= 2


@pytest.mark.slow
def test_the_whole_benchmark_tiny_and_once(photos: Path, tmp_path: Path) -> None:
    (tmp_path / "few").symlink_to(photos)  # in place of generated ones
    options = (
        f"--work {tmp_path} --results {tmp_path / 'out'} --models test_resnet --batch 4 --size 32 "
        "--workers 1 --rounds 2 --steps 2 --warm 1 --pause 0 --no-compile --small"
        " --option-rounds 2 --option-steps 2"
    )
    bench_train.main(options.split())
    text = (tmp_path / "out" / "train_cpu.md").read_text()
    for said in ("| test_resnet | ce | loader |", "| ldam | webdataset |", "bfloat16"):
        assert said in text
    command = (
        "bench_train --models test_resnet --batch 4 --size 32 --workers 1 --rounds 2 --steps 2"
    )
    assert f"{command} --option-rounds 2 --option-steps 2 --warm 1 --pause 0.0 --no-compile" in text
    held = json.loads((tmp_path / "feeds.json").read_text())
    assert [len(turns) for turns in held["test_resnet|ce"].values()] == [2, 2, 2]
    bench_train.main(options.split())  # measures nothing again
    assert json.loads((tmp_path / "feeds.json").read_text()) == held
