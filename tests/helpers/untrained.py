"""Trained models that were never trained: a run folder with weights, card and classes."""

from __future__ import annotations

from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import torch

from glr_fast.checkpoint import save_best
from glr_fast.config import Config, DataConfig
from glr_fast.model_card import ModelCard

CARD = ModelCard("test_resnet", 3, "linear", 32, (0.5, 0.4, 0.3), (0.2, 0.25, 0.3), 1.0)


def write_run(folder: Path, card: ModelCard = CARD, store: Path = Path("nowhere")) -> Path:
    """A run folder whose ``best/`` holds random weights."""
    ids = [str(7 + label) for label in range(card.num_classes)]
    columns = {"label": range(card.num_classes), "landmark_id": ids}
    columns |= {"name": ["Chapelle", None, "城, «x»"][: card.num_classes]}
    columns["name"] = [*columns["name"], *ids[3:]]
    columns |= {split: [4 - min(label, 3) for label in range(len(ids))] for split in ("train",)}
    columns |= {split: [1] * len(ids) for split in ("val", "test")}
    classes = pa.BufferOutputStream()
    pq.write_table(pa.table(columns), classes)
    files = {"model.json": card.to_json().encode()}
    files |= {"classes.parquet": classes.getvalue().to_pybytes()}
    torch.manual_seed(0)
    model = card.build()
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.add_(0.1 * torch.randn_like(parameter))
    save_best(folder, model, files, {"step": 12})
    config = Config(data=DataConfig(store=store), out=folder)
    (folder / "config.json").write_text(config.to_json())
    return folder
