"""A trained model comes back from its folder, or one line says why not."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import torch

from glr_fast.checkpoint import save_best
from glr_fast.errors import ConfigError
from glr_fast.model_card import ModelCard
from glr_fast.trained_model import load_model

CARD = ModelCard("resnet18", 3, "linear", 32, (0.5, 0.5, 0.5), (0.2, 0.2, 0.2), 2.0)


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run folder with ``best/``."""
    folder = tmp_path_factory.mktemp("trained") / "run"
    columns = {"label": [0, 1, 2], "landmark_id": ["7", "8", "9"], "name": ["a", None, "c"]}
    classes = pa.BufferOutputStream()
    pq.write_table(pa.table(columns | {s: [4, 2, 1] for s in ("train", "val", "test")}), classes)
    export = {
        "model.json": CARD.to_json().encode(),
        "classes.parquet": classes.getvalue().to_pybytes(),
    }
    save_best(folder, CARD.build(), export, {"step": 12})
    return folder


def test_a_run_and_its_best_folder_are_the_same_model(run: Path) -> None:
    model, again = load_model(run), load_model(run / "best")
    assert (model.names, model.landmark_ids) == (["a", "8", "c"], ["7", "8", "9"])
    assert model.train_counts.tolist() == [4, 2, 1]
    assert model.note == {"step": "12"}
    images = torch.randint(0, 256, (2, 3, 32, 32), dtype=torch.uint8)
    with torch.inference_mode():
        outputs = model.module((images.float() / 255 - 0.5) / 0.2)
        torch.testing.assert_close(model.logits(images), outputs * 2)
        assert torch.equal(model.logits(images), again.logits(images))


@pytest.mark.parametrize(
    ("file", "content", "words"),
    [
        ("model.safetensors", b"\x00" * 100, "model.safetensors: damaged"),
        ("model.json", b"{", "model.json: not a model card of this version"),
        ("classes.parquet", b"PAR1", "the model cannot be read"),
        ("model.json", json.dumps({"name": "resnet18"}).encode(), "not a model card"),
        ("model.json", CARD.to_json().replace("18", "34").encode(), "not the weights of resnet34"),
        ("model.json", CARD.to_json().replace(": 3,", ": 4,").encode(), "lists 3"),
    ],
)
def test_a_damaged_model(run: Path, tmp_path: Path, file: str, content: bytes, words: str) -> None:
    copy = Path(shutil.copytree(run, tmp_path / "run"))
    (copy / "best" / file).write_bytes(content)
    with pytest.raises(ConfigError, match=words):
        load_model(copy)


def test_no_model(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="no such run folder"):
        load_model(tmp_path / "nowhere")
