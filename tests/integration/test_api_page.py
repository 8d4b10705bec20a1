"""The examples of docs/api.md run as they are printed, one after the other."""

from __future__ import annotations

import re
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from glr_fast.config import Config, DataConfig, LossConfig, ModelConfig, OptimConfig
from glr_fast.recipes import RECIPES
from tests.conftest import REPOSITORY
from tests.helpers.models import run_for

EXAMPLE = re.compile(r"```python\n(.*?)```", re.DOTALL)


def tiny() -> Config:
    return Config(
        data=DataConfig(batch_size=16, image_size=32, threads=1),
        model=ModelConfig(name="test_resnet", pretrained=False),
        loss=LossConfig(name="ldam"),
        optim=replace(OptimConfig(), epochs=2),
        tracker="none",
    )


@pytest.mark.slow
def test_the_examples_run(store: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("onnxscript")
    text = (REPOSITORY / "docs" / "api.md").read_text()
    examples = [example.replace("trials=8", "trials=2") for example in EXAMPLE.findall(text)]
    monkeypatch.setenv("PYTHONPATH", str(REPOSITORY))  # for the processes of the trials
    monkeypatch.setitem(RECIPES, "resnet50_ldam", tiny)
    monkeypatch.chdir(tmp_path)
    (tmp_path / "store").symlink_to(store)
    (tmp_path / "holiday").symlink_to(store)  # a store is a collection of photos too
    names: dict[str, Any] = {}
    for example in examples:
        if "CompareOptions" in example:
            second = run_for(store, tmp_path / "runs" / "b")
            evaluate, options = names["evaluate"], names["EvaluateOptions"]
            evaluate(options(run=second, store=Path("store"), split="val", report=False))
        exec(compile(example, "docs/api.md", "exec"), names)  # noqa: S102 (what a reader would type)
    assert names["outcome"].photos > 0
    assert names["probabilities"].shape[1] == names["model"].card.num_classes
    assert names["comparison"].export == Path("best")
    assert names["study"].finished == 2
    assert (tmp_path / "runs" / "tuned" / "best").is_dir()
    assert {program.file for program in names["written"].programs} == {"model.onnx", "model.pt2"}
