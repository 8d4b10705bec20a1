"""DALI's GPU path: the pixels of the reference, resume, evaluation, bad photos, mixed precision."""

from __future__ import annotations

import itertools
import shutil
from pathlib import Path

import numpy as np
import pytest
import torch

from glr_fast.data import Batch, Store
from tests.helpers.loaders import opened

#: The hardware and CUDA decoders round chroma and the DCT otherwise than libjpeg-turbo does.
MEAN_LEVELS = 3.0


def batches(store: Path, split: str = "train", **options: object) -> list[Batch]:
    arguments: dict[str, object] = {"batch_size": 16, "image_size": 64} | options
    with opened(store, split, **arguments) as loader:  # type: ignore[arg-type]
        return list(loader.epoch())


@pytest.mark.parametrize("color", [0.0, 0.4])
@pytest.mark.parametrize("split", ["train", "test"])
def test_pixels_agree_with_the_reference(store: Path, split: str, color: float) -> None:
    how = {"color": color}
    on_gpu = batches(store, split, device="cuda", **how)
    exact = batches(store, split, backend="reference", **how)
    for ours, theirs in zip(on_gpu, exact, strict=True):
        assert ours.images.is_cuda
        assert ours.labels.is_cuda
        assert ours.images.is_contiguous(memory_format=torch.channels_last)
        np.testing.assert_array_equal(ours.rows, theirs.rows)
        difference = (ours.images.cpu().int() - theirs.images.int()).abs().float()
        assert difference.mean() < MEAN_LEVELS


def test_a_stream_resumes_with_the_same_crops(store: Path) -> None:
    with opened(store, "train", batch_size=16, image_size=64, device="cuda") as loader:
        whole = list(itertools.islice(loader.stream(), 9))
        rest = list(itertools.islice(loader.stream(5), 4))
    for ours, theirs in zip(rest, whole[5:], strict=True):
        np.testing.assert_array_equal(ours.rows, theirs.rows)
        difference = (ours.images.int() - theirs.images.int()).abs().float()
        # Not to the bit: which decoder takes a photo is decided by the load.
        assert difference.mean() < MEAN_LEVELS


def test_float_output_is_normalised_on_the_gpu(store: Path) -> None:
    batch = batches(store, device="cuda", output="float32")[0].images
    assert batch.is_cuda
    assert batch.dtype == torch.float32
    assert -3 < batch.min() < 0 < batch.max() < 3


def test_a_bad_photo_is_replaced(store: Path, tmp_path: Path) -> None:
    copy = tmp_path / "copy"
    shutil.copytree(store, copy)
    row = int(batches(store, device="cuda")[0].rows[3])
    sample = Store.open(copy).samples().slice(row, 1).to_pylist()[0]
    with open(copy / sample["shard"], "r+b") as file:
        file.seek(sample["offset"])
        file.write(b"<html>no photo</html>")
    found = batches(copy, device="cuda", bad_samples=tmp_path / "bad.csv")
    assert row not in np.concatenate([b.rows for b in found])
    assert sample["key"] in (tmp_path / "bad.csv").read_text()
    assert all(b.images.is_cuda for b in found)


@pytest.mark.parametrize("precision", ["no", "bf16", "fp16"])
def test_training_on_the_gpu_lowers_the_loss(store: Path, tmp_path: Path, precision: str) -> None:
    import json

    from glr_fast.config import Config, DataConfig, LossConfig, ModelConfig, OptimConfig, RunConfig
    from glr_fast.trainer import train

    config = Config(
        data=DataConfig(store=store, batch_size=16, image_size=64),
        model=ModelConfig(name="resnet18", pretrained=False),
        loss=LossConfig(name="ldam"),
        optim=OptimConfig(epochs=12, lr=2e-3, backbone_lr_scale=1.0),
        run=RunConfig(log_every=3, eval_every=0),
        precision=precision,  # type: ignore[arg-type]
        tracker="none",
        out=tmp_path / "run",
    )
    train(config)
    lines = [json.loads(line) for line in (tmp_path / "run" / "metrics.jsonl").open()]
    losses = [line["train/loss"] for line in lines if "train/loss" in line]
    assert losses[-1] < 0.8 * losses[0]
