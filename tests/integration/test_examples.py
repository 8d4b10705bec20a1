"""The examples run, stay short, and learn from the photos they are given."""

from __future__ import annotations

import importlib.util
import runpy
import sys
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
import torch

EXAMPLES = Path(__file__).parents[2] / "examples"


def load(name: str) -> ModuleType:
    spec = importlib.util.spec_from_file_location(f"example_{name}", EXAMPLES / f"{name}.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.mark.parametrize("file", sorted(EXAMPLES.glob("*.py")), ids=lambda path: path.name)
def test_an_example_is_under_forty_lines(file: Path) -> None:
    assert len(file.read_text().splitlines()) < 40


def test_an_example_without_a_store_says_what_it_takes(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "argv", ["plain_pytorch.py"])
    with pytest.raises(SystemExit, match=r"python examples/plain_pytorch\.py STORE \[EPOCHS\]"):
        runpy.run_path(str(EXAMPLES / "plain_pytorch.py"), run_name="__main__")


@pytest.mark.slow
def test_plain_pytorch_trains(store: Path, capsys: pytest.CaptureFixture[str]) -> None:
    torch.manual_seed(0)
    losses = load("plain_pytorch").train(str(store), epochs=4, batch_size=16, image_size=64)
    assert len(losses) >= 12
    assert sum(losses[-3:]) < sum(losses[:3])
    assert "wait_s" in capsys.readouterr().out


@pytest.mark.slow
def test_lightning_sees_every_epoch_in_our_order(store: Path, tmp_path: Path) -> None:
    lightning = pytest.importorskip(
        "lightning", reason="pip install 'glr-fast[examples]' for PyTorch Lightning"
    )
    from tests.helpers.loaders import opened

    module = load("with_lightning")
    seen: list[list[int]] = []

    class Watched(module.Recognizer):
        def training_step(self, batch: Any, index: int) -> torch.Tensor:
            seen.append(batch[1].tolist())
            return super().training_step(batch, index)

    trainer = lightning.Trainer(
        max_epochs=2,
        accelerator="cpu",
        default_root_dir=tmp_path,
        logger=False,
        enable_checkpointing=False,
        enable_progress_bar=False,
    )
    model = Watched(str(store), batch_size=16, image_size=64)
    trainer.fit(model)
    with opened(store, "train", batch_size=16, image_size=64) as loader:
        wanted = [b.labels.tolist() for epoch in (0, 1) for b in loader.epoch(epoch)]
    assert seen == wanted
