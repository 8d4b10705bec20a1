"""Two gloo processes, started by the command the README gives: really two, and equal to one."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import safetensors.torch

from glr_fast.evaluate_options import EvaluateOptions
from glr_fast.evaluation import evaluate

REPOSITORY = Path(__file__).resolve().parents[2]
WORKER = Path(__file__).parents[1] / "helpers" / "spying_worker.py"
FAILING = Path(__file__).parents[1] / "helpers" / "failing_worker.py"

#: No batch norm, no dropout: the same global batch gives the same update however it is shared.
FLAGS = (
    "--model.name test_vit --model.no-pretrained --data.batch-size 8 --data.image-size 160 "
    "--data.threads 1 --optim.epochs 2 --run.log-every 1 --run.save-every 1 --optim.lr 0.003 "
    "--optim.backbone-lr-scale 1 --optim.warmup-epochs 0 --tracker none"
)


def launch(processes: int, *command: str) -> subprocess.CompletedProcess[str]:
    """Start as many CPU processes as wanted, with accelerate launch."""
    start = ["-m", "accelerate.commands.accelerate_cli", "launch", "--num_processes"]
    start += [str(processes), "--num_machines", "1", "--mixed_precision", "no"]
    if processes > 1:
        config = REPOSITORY / "launch" / "accelerate" / "two_cpu_processes.yaml"
        start = [*start[:3], "--config_file", str(config)]
    environment = {**os.environ, "ACCELERATE_USE_CPU": "true", "OMP_NUM_THREADS": "1"}
    return subprocess.run(
        [sys.executable, *start, *command],
        cwd=REPOSITORY,
        env=environment,
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )


def run(processes: int, store: Path, out: Path, *flags: str) -> list[dict[str, Any]]:
    """Train with the spying worker; what each rank saw, by rank."""
    done = launch(
        processes,
        str(WORKER),
        "--data.store",
        str(store),
        "--out",
        str(out),
        *FLAGS.split(),
        *flags,
    )
    assert done.returncode == 0, done.stderr
    files = sorted(out.glob("seen-*.json"))
    return [json.loads(file.read_text()) for file in files]


@pytest.fixture(scope="module")
def one(store: Path, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, list[dict[str, Any]]]:
    out = tmp_path_factory.mktemp("one") / "run"
    return out, run(1, store, out)


@pytest.fixture(scope="module")
def two(store: Path, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, list[dict[str, Any]]]:
    out = tmp_path_factory.mktemp("two") / "run"
    return out, run(2, store, out)


def losses(out: Path) -> list[float]:
    lines = [json.loads(line) for line in (out / "metrics.jsonl").read_text().splitlines()]
    return [line["train/loss"] for line in lines if "train/loss" in line]


def assert_close(one: Any, other: Any) -> None:
    """Equal but for the last bits of floats, however deep."""
    if isinstance(one, dict):
        assert one.keys() == other.keys()
        one, other = list(one.values()), list(other.values())
    if isinstance(one, list):
        assert len(one) == len(other)
        for a, b in zip(one, other, strict=True):
            assert_close(a, b)
    else:
        assert one == (pytest.approx(other, rel=1e-4) if isinstance(one, float) else other)


def test_there_really_are_two(two: tuple[Path, list[dict[str, Any]]]) -> None:
    seen = two[1]
    assert [rank["rank"] for rank in seen] == [0, 1]
    assert [rank["world_size"] for rank in seen] == [2, 2]
    assert [rank["backend"] for rank in seen] == ["gloo", "gloo"]
    assert seen[0]["pid"] != seen[1]["pid"]


def test_they_see_disjoint_slices_of_the_same_global_batches(
    one: tuple[Path, list[dict[str, Any]]], two: tuple[Path, list[dict[str, Any]]]
) -> None:
    alone, (first, second) = one[1][0]["rows"], (rank["rows"] for rank in two[1])
    assert len(alone) == len(first) == len(second) > 4
    for whole, a, b in zip(alone, first, second, strict=True):
        assert len(whole) == 8
        assert not set(a) & set(b)
        assert a + b == whole


def test_they_end_with_equal_weights(two: tuple[Path, list[dict[str, Any]]]) -> None:
    first, second = (rank["weights_sha256"] for rank in two[1])
    assert first == second


def test_the_loss_curve_is_that_of_one_process(
    one: tuple[Path, list[dict[str, Any]]], two: tuple[Path, list[dict[str, Any]]]
) -> None:
    np.testing.assert_allclose(losses(two[0]), losses(one[0]), rtol=2e-3, atol=2e-3)


def test_each_evaluated_photo_counts_once(
    two: tuple[Path, list[dict[str, Any]]], store: Path, tmp_path: Path
) -> None:
    """Six photos a batch leave a rest: the last batch is partly filler."""
    flags = ["--run", str(two[0]), "--store", str(store), "--split", "val,test"]
    done = launch(2, "launch/evaluate.py", *flags, "--batch-size", "6")
    assert done.returncode == 0, done.stderr
    shared = json.loads((two[0] / "eval-val-test" / "metrics.json").read_text())
    alone = evaluate(
        EvaluateOptions(run=two[0], store=store, split="val,test", batch_size=5, out=tmp_path)
    )
    # Other batches, so sums in another order: the last bits differ.
    for key in ("loss", "ece", "reliability", "thresholds", "intervals"):
        assert_close(shared.pop(key), alone.pop(key))
    assert shared == alone


def test_one_continues_what_two_began(store: Path, tmp_path: Path, one: tuple[Path, Any]) -> None:
    """The checkpoint holds the bare model: the number of processes may change."""
    out = tmp_path / "run"
    run(2, store, out, "--run.max-steps", "5")
    run(1, store, out, "--resume")
    np.testing.assert_allclose(losses(out), losses(one[0]), rtol=2e-3, atol=2e-3)


def test_frozen_and_accumulated_with_batch_norm(store: Path, tmp_path: Path) -> None:
    """What DDP must be told of: parameters without gradients, then with; steps without exchange."""
    flags = (
        "--model.name test_resnet --model.freeze-epochs 1 --optim.accumulate-steps 2 "
        "--data.image-size 64 --loss.name ldam --optim.compress-gradients"
    )
    out = tmp_path / "run"
    seen = run(2, store, out, *flags.split())
    assert seen[0]["weights_sha256"] == seen[1]["weights_sha256"]
    first, last = (
        safetensors.torch.load_file(out / "checkpoints" / name / "model.safetensors")
        for name in sorted(path.name for path in (out / "checkpoints").iterdir())
    )
    assert any((first[key] != last[key]).any() for key in first if "conv" in key)


def test_both_evaluate_with_the_statistics_that_are_saved(store: Path, tmp_path: Path) -> None:
    """Each process gathers batch statistics of its own; those of the main one are kept."""
    out = tmp_path / "run"
    run(2, store, out, "--model.name", "test_resnet", "--data.image-size", "64")
    lines = map(json.loads, (out / "metrics.jsonl").read_text().splitlines())
    during = [line for line in lines if "val/loss" in line][-1]
    options = EvaluateOptions(run=out, split="val", checkpoint="last", report=False, resamples=0)
    after = evaluate(options)
    assert during["val/loss"] == pytest.approx(after["loss"], rel=1e-5)


def test_the_moving_average_is_that_of_one_process(store: Path, tmp_path: Path) -> None:
    """Averages come from every process's own weights; the main one's are written."""
    for processes in (1, 2):
        out = tmp_path / str(processes)
        flags = "--optim.ema 0.9 --run.eval-every 0.5 --run.keep 9"
        run(processes, store, out, *flags.split())
    # An evaluation that could fail on one process alone has a checkpoint before it.
    saved = [{path.name for path in (tmp_path / n / "checkpoints").iterdir()} for n in ("1", "2")]
    assert len(saved[0]) == 2  # epochs
    assert len(saved[1]) == 4  # evaluations
    assert saved[0] < saved[1]
    last = max(saved[0])
    for name in ("model.safetensors", "trained.safetensors"):
        alone, shared = (
            safetensors.torch.load_file(tmp_path / n / "checkpoints" / last / name)
            for n in ("1", "2")
        )
        for key, value in alone.items():
            np.testing.assert_allclose(shared[key], value, rtol=0.02, atol=2e-3, err_msg=key)


def test_an_evaluation_that_fails_on_one_of_them_loses_no_step(store: Path, tmp_path: Path) -> None:
    """It is made again by both, with one average: that of the main process, statistics and all."""
    out, tried = tmp_path / "run", "step-00000002"
    flags = "--model.name test_resnet --data.image-size 64 --optim.ema 0.9 --run.eval-every 0.25"
    options = ["--data.store", str(store), "--out", str(out), *FLAGS.split(), *flags.split()]
    done = launch(2, str(FAILING), *options, "--run.save-every", "0")
    assert done.returncode != 0
    assert "val-000000.tar: Input/output error" in done.stderr
    assert [path.name for path in (out / "checkpoints").iterdir()] == [tried]
    run(2, store, out, *flags.split(), "--run.save-every", "0", "--run.max-steps", "2", "--resume")
    lines = [json.loads(line) for line in (out / "metrics.jsonl").read_text().splitlines()]
    during = [(line["step"], line["val/loss"]) for line in lines if "val/loss" in line]
    alone = evaluate(
        EvaluateOptions(
            run=out, store=store, split="val", checkpoint="last", out=tmp_path / "alone"
        )
    )
    assert during == [(2, pytest.approx(alone["loss"], rel=1e-5))]


def test_an_error_is_said_once(store: Path, tmp_path: Path) -> None:
    flags = ["--data.store", str(store), "--out", str(tmp_path / "run"), "--data.batch-size", "7"]
    done = launch(2, "launch/train.py", *flags, "--model.no-pretrained", "--tracker", "none")
    assert done.returncode != 0
    assert done.stderr.count("cannot be shared equally") == 1


def test_an_error_of_one_process_is_said_by_it(store: Path, tmp_path: Path) -> None:
    """The other waits in the next exchange of gradients: it ends too, and blames the first."""
    flags = ["--data.store", str(store), "--out", str(tmp_path / "run"), *FLAGS.split()]
    done = launch(2, str(FAILING), *flags)
    assert done.returncode != 0
    said = [line for line in done.stderr.splitlines() if line.startswith("error")]
    assert any("rank 1" in line and "train-000001.tar: Input/output" in line for line in said), said
