"""Training on the GPU: nothing waits for the device, compiled models, fp16 resume, two GPUs."""

from __future__ import annotations

import itertools
import json
import os
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from glr_fast.config import Config, DataConfig, LossConfig, ModelConfig, OptimConfig, RunConfig
from glr_fast.data import Store, normalise
from tests.conftest import REPOSITORY
from tests.helpers.loaders import opened


def configured(store: Path, out: Path, **changes: Any) -> Config:
    config = Config(
        data=DataConfig(store=store, batch_size=16, image_size=64, erase=0.5),
        model=ModelConfig(name="resnet18", pretrained=False),
        loss=LossConfig(name="ldam"),
        optim=OptimConfig(epochs=2, lr=2e-3, backbone_lr_scale=1.0),
        run=RunConfig(log_every=1000, eval_every=0, save_every=0),
        tracker="none",
        out=out,
    )
    return replace(config, **changes)


@pytest.mark.parametrize("backend", ["dali", "cpu"])
def test_a_step_never_waits_for_the_device(store: Path, tmp_path: Path, backend: str) -> None:
    from glr_fast.run_start import open_accelerator
    from glr_fast.trainer import Trainer

    config = configured(store, tmp_path / "run")
    config = replace(config, data=replace(config.data, backend=backend))
    trainer = Trainer(config, open_accelerator(config))
    try:
        batches = trainer.loader.stream(0)
        for _ in range(3):  # what is made once, and cuDNN's search, may wait
            trainer.train_step(next(batches))
        torch.cuda.synchronize()
        torch.cuda.set_sync_debug_mode("error")
        for _ in range(4):
            trainer.train_step(next(batches))
    finally:
        torch.cuda.set_sync_debug_mode("default")
        trainer.close()


@pytest.mark.parametrize("backend", ["dali", "cpu"])
def test_a_step_copies_nothing_from_pageable_memory(
    store: Path, tmp_path: Path, backend: str
) -> None:
    """Such a copy waits for the GPU whatever ``non_blocking`` says, unseen by sync_debug_mode."""
    from torch.profiler import ProfilerActivity, profile

    from glr_fast.run_start import open_accelerator
    from glr_fast.trainer import Trainer

    config = configured(store, tmp_path / "run")
    config = replace(config, data=replace(config.data, backend=backend))
    trainer = Trainer(config, open_accelerator(config))
    try:
        batches = trainer.loader.stream(0)
        for _ in range(3):
            trainer.train_step(next(batches))
        with profile(activities=[ProfilerActivity.CPU, ProfilerActivity.CUDA]) as found:
            for _ in range(4):
                trainer.train_step(next(batches))
            torch.cuda.synchronize()
    finally:
        trainer.close()
    copies = [event.name for event in found.events() or [] if event.name.startswith("Memcpy")]
    assert any("Pinned" in name for name in copies)
    assert not [name for name in copies if "Pageable" in name]


def test_normalising_a_batch_never_waits(store: Path) -> None:
    with opened(store, "train", batch_size=16, image_size=64, device="cuda") as loader:
        images = next(loader.stream()).images
        normalise(images)
        torch.cuda.set_sync_debug_mode("error")
        try:
            normalise(images)
        finally:
            torch.cuda.set_sync_debug_mode("default")


@pytest.mark.parametrize(("backend", "levels"), [("cpu", 1e-2), ("dali", 1.0)])
def test_buffers_are_not_reused_while_the_gpu_reads_them(
    store: Path, backend: str, levels: float
) -> None:
    """Many batches, each copied to a GPU that is kept busy, and none held by us."""
    seen: list[torch.Tensor] = []
    busy = torch.randn(4096, 4096, device="cuda")
    options: dict[str, Any] = {"batch_size": 16, "image_size": 128, "backend": backend}
    with opened(store, "train", device="cuda", **options) as loader:
        for batch in itertools.islice(loader.stream(), 60):
            for _ in range(4):
                busy = (busy @ busy).clamp(-1, 1)
            seen.append(batch.images.float().mean((1, 2, 3)))
    calm = []
    with opened(store, "train", device="cuda", **options) as loader:
        for batch in itertools.islice(loader.stream(), 60):
            torch.cuda.synchronize()
            calm.append(batch.images.float().mean((1, 2, 3)).cpu())
    torch.testing.assert_close(torch.stack(seen).cpu(), torch.stack(calm), atol=levels, rtol=0)


@pytest.mark.parametrize("backend", ["dali", "cpu"])
def test_an_evaluation_shows_each_photo_once(store: Path, backend: str) -> None:
    rows = Store.open(store).split_rows("test")
    with opened(store, "test", batch_size=4, image_size=64, device="cuda", backend=backend) as each:
        for _ in range(2):
            seen = np.concatenate([batch.rows[: batch.valid] for batch in each])
            assert sorted(seen.tolist()) == list(rows)


def test_fp16_resumes_as_if_never_stopped(store: Path, tmp_path: Path) -> None:
    from glr_fast.trainer import train

    def losses(out: Path) -> list[float]:
        lines = [json.loads(line) for line in (out / "metrics.jsonl").open()]
        return [line["train/loss"] for line in lines if "train/loss" in line]

    run = RunConfig(log_every=1, eval_every=0, save_every=0)
    whole = configured(store, tmp_path / "whole", run=run, precision="fp16")
    train(whole)
    parts = configured(store, tmp_path / "parts", run=replace(run, max_steps=3), precision="fp16")
    train(parts)
    train(replace(parts, run=run, resume=True))
    np.testing.assert_allclose(losses(parts.out), losses(whole.out), rtol=2e-2)


def launch(store: Path, out: Path, *how: str) -> subprocess.CompletedProcess[str]:
    flags = (
        f"--data.store {store} --out {out} --model.name resnet18 --model.no-pretrained "
        "--data.batch-size 16 --data.image-size 64 --optim.epochs 2 --tracker none"
    )
    module = [sys.executable, "-m", "accelerate.commands.accelerate_cli", "launch", *how]
    return subprocess.run(
        [*module, "launch/train.py", *flags.split()],
        cwd=REPOSITORY,
        env={**os.environ, "PYTHONPATH": os.pathsep.join([str(REPOSITORY), *sys.path])},
        capture_output=True,
        text=True,
        timeout=400,
        check=False,
    )


def test_a_compiled_model_trains_and_is_evaluated(store: Path, tmp_path: Path) -> None:
    from glr_fast.evaluate_options import EvaluateOptions
    from glr_fast.evaluation import evaluate

    one = ("--num_processes", "1", "--num_machines", "1", "--mixed_precision", "bf16")
    done = launch(store, tmp_path / "run", *one, "--dynamo_backend", "inductor")
    assert done.returncode == 0, done.stderr
    figures = evaluate(EvaluateOptions(run=tmp_path / "run", store=store, split="val"))
    assert figures["photos"] > 0


def test_two_gpus_end_with_one_model(store: Path, tmp_path: Path) -> None:
    if torch.cuda.device_count() < 2:
        pytest.skip("one GPU only")
    config = REPOSITORY / "launch" / "accelerate" / "eight_gpus.yaml"
    done = launch(store, tmp_path / "run", "--config_file", str(config), "--num_processes", "2")
    assert done.returncode == 0, done.stderr
    assert (tmp_path / "run" / "best" / "model.safetensors").is_file()
