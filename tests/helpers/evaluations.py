"""Evaluations that nobody ran: figures and predictions as ``launch/evaluate.py`` writes them."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from sklearn.metrics import f1_score


def macro_f1(labels: np.ndarray, predicted: np.ndarray) -> float:
    """Scikit-learn's, over the classes with a photo."""
    nothing: Any = 0.0  # its annotations know words only
    present = np.unique(labels)
    return float(
        f1_score(labels, predicted, labels=present, average="macro", zero_division=nothing)
    )


def write_evaluation(
    run: Path, labels: np.ndarray, predicted: np.ndarray, split: str = "val", **more: Any
) -> Path:
    """``RUN/eval-SPLIT`` with one predicted label a photo; ``more`` goes into the figures."""
    folder = run / f"eval-{split}"
    folder.mkdir(parents=True)
    top = pa.FixedSizeListArray.from_arrays(pa.array(predicted, pa.int32()), 1)
    probabilities = pa.FixedSizeListArray.from_arrays(
        pa.array(np.full(len(labels), 0.5, np.float32)), 1
    )
    columns = {
        "key": [f"{split}-{photo:05d}" for photo in range(len(labels))],
        "split": [split] * len(labels),
        "label": pa.array(labels, pa.int32()),
        "landmark_id": [str(7 + abs(label)) for label in labels],
        "top_labels": top,
        "top_probabilities": probabilities,
        "loss": pa.array(np.ones(len(labels), np.float32)),
    }
    pq.write_table(pa.table(columns), folder / "predictions.parquet")
    right = float(np.mean(labels == predicted))
    f1 = macro_f1(labels, predicted)
    figures = {
        "checkpoint": "best",
        "model": "test_resnet",
        "trained": {"step": "12"},
        "store": "store",
        "store_digest": "abc",
        "splits": split.split("-"),
        "photos": len(labels),
        "classes": len(np.unique(labels)),
        "accuracy": right,
        "top5_accuracy": right,
        "macro_f1": f1,
    }
    (folder / "metrics.json").write_text(json.dumps(figures | more))
    return folder
