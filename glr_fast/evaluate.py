"""Evaluation: photos through a model into a predictions table, and figures from that table.

``launch/evaluate.py`` runs it on a finished run; the trainer runs ``predict`` between epochs.
"""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import torch
from accelerate import Accelerator
from accelerate.utils import gather_object
from torch import Tensor, nn
from torch.nn import functional as F

from glr_fast import metrics
from glr_fast.checkpoint import CARD, CLASSES, find_export, load_weights, write_atomically
from glr_fast.data import (
    Batch,
    LoaderOptions,
    Rank,
    Store,
    StoreError,
    bad_samples_file,
    normalise,
    open_loader,
)
from glr_fast.errors import ConfigError
from glr_fast.evaluate_options import EvaluateOptions
from glr_fast.model_card import ModelCard
from glr_fast.models import place

TOP = 5
LARGEST_PICTURE = 50


@dataclass(frozen=True)
class Predictions:
    """What a model says of some photos; row i of every array is one photo."""

    rows: np.ndarray
    """Rows of the store's samples table, ascending. Shape (photos,), int64."""
    labels: np.ndarray
    """True labels. Shape (photos,), int64."""
    top: np.ndarray
    """Most probable labels, best first. Shape (photos, k), int64; k = min(5, classes)."""
    probabilities: np.ndarray
    """Of the top labels. Shape (photos, k), float32."""
    losses: np.ndarray
    """Cross-entropy of each photo, in nats. Shape (photos,), float32."""


def predict(
    accelerator: Accelerator, model: nn.Module, batches: Iterable[Batch], card: ModelCard
) -> Predictions:
    """Run a model over an evaluation's batches, each photo once over all processes.

    Every process calls it and gets the whole. The device is read back once, at the end.

    Args:
        accelerator: gathers over its processes.
        model: the bare model, on the accelerator's device; left in eval mode.
        batches: this process's share (``loader.epoch()``), uint8 images.
        card: normalisation and logit scale.
    """
    model.eval()
    rows, parts = [], []
    with torch.inference_mode():
        for batch in batches:
            with accelerator.autocast():
                logits = model(normalise(batch.images, card.mean, card.std))
            kept = slice(batch.valid)
            rows.append(batch.rows[kept])
            scaled = logits[kept].float() * card.logit_scale
            parts.append(_answers(scaled, batch.labels[kept]))
        own = [torch.cat(column).cpu().numpy() for column in zip(*parts, strict=True)]
    shares = gather_object([(np.concatenate(rows), *own)])
    columns = [np.concatenate(column) for column in zip(*shares, strict=True)]
    order = np.argsort(columns[0], kind="stable")
    return Predictions(*(column[order] for column in columns))


def _answers(logits: Tensor, labels: Tensor) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """Of (B, C) float32 logits: labels, top labels, their probabilities, losses; on the device."""
    losses = F.cross_entropy(logits, labels, reduction="none")
    probabilities, top = logits.softmax(1).topk(min(TOP, logits.shape[1]), dim=1)
    return labels, top, probabilities, losses


def figures_of(predictions: Predictions, train_counts: np.ndarray) -> dict[str, Any]:
    """All figures of ``metrics.summarise``, and ``loss`` (mean cross-entropy, in nats)."""
    figures = metrics.summarise(predictions.labels, predictions.top, train_counts)
    return figures | {"loss": float(predictions.losses.mean(dtype=np.float64))}


def predictions_table(predictions: Predictions, store: Store) -> pa.Table:
    """key, split, label, top_labels (list of int32), top_probabilities (list of float32)."""
    samples = store.samples(["key", "split"]).take(pa.array(predictions.rows))
    k = predictions.top.shape[1]

    def lists(values: np.ndarray, kind: pa.DataType) -> pa.Array:
        return pa.FixedSizeListArray.from_arrays(pa.array(values.ravel(), kind), k)

    columns = {
        "label": pa.array(predictions.labels, pa.int32()),
        "top_labels": lists(predictions.top, pa.int32()),
        "top_probabilities": lists(predictions.probabilities, pa.float32()),
    }
    for name, column in columns.items():
        samples = samples.append_column(name, column)
    return samples


def evaluate(options: EvaluateOptions) -> dict[str, Any]:
    """Evaluate a run and write predictions.parquet, metrics.json and the rest into one folder.

    Returns:
        The figures, as in metrics.json.

    Raises:
        ConfigError: no such run or checkpoint, or a run on other classes.
        StoreError: no such store or split, or an empty one.
    """
    store = Store.open(options.store)
    folder = find_export(options.run, options.checkpoint)
    file = folder / CARD
    card = ModelCard.from_json(file.read_text(), str(file))
    _check_classes(folder, store)
    precision = None if options.precision == "auto" else options.precision
    accelerator = Accelerator(mixed_precision=precision)
    weights, note = load_weights(folder)
    model = card.build()
    model.load_state_dict(weights)
    model = place(model, accelerator.device)
    predictions = _predict_splits(accelerator, model, card, store, options)
    if not accelerator.is_main_process:
        return {}
    figures: dict[str, Any] = {"run": str(options.run), "checkpoint": folder.name}
    figures |= {"model": card.name, "image_size": options.image_size or card.image_size}
    figures |= {"trained": note}
    figures |= {"store": str(options.store), "splits": options.splits}
    figures |= figures_of(predictions, store.class_counts("train"))
    write_results(options.folder, figures, predictions, store)
    return figures


def write_results(
    folder: Path, figures: dict[str, Any], predictions: Predictions, store: Store
) -> None:
    """Write the table, the figures, one row per class, the mistakes, and a picture if it is small.

    Files: predictions.parquet, metrics.json, per_class.csv, confused_pairs.csv, and confusion.png
    for at most 50 classes.
    """
    folder.mkdir(parents=True, exist_ok=True)
    pq.write_table(predictions_table(predictions, store), folder / "predictions.parquet")
    names = class_names(store)
    labels, predicted = predictions.labels, predictions.top[:, 0]
    classes = metrics.per_class(labels, predicted, store.class_counts("train"))
    classes.insert(1, "name", pd.Series([names[label] for label in classes["label"]], dtype=str))
    classes.to_csv(folder / "per_class.csv", index=False, float_format="%.4f")
    pairs = metrics.confused_pairs(labels, predicted, names)
    pairs.to_csv(folder / "confused_pairs.csv", index=False, float_format="%.4f")
    if store.num_classes <= LARGEST_PICTURE:
        metrics.draw_confusion(labels, predicted, names, folder / "confusion.png")
    write_atomically(folder / "metrics.json", json.dumps(figures, indent=1) + "\n")


def class_names(store: Store) -> list[str]:
    """The name of each class, or its landmark id where the store knows no name."""
    table = store.classes()
    pairs = zip(table["name"].to_pylist(), table["landmark_id"].to_pylist(), strict=True)
    return [name or landmark for name, landmark in pairs]


def _predict_splits(
    accelerator: Accelerator,
    model: nn.Module,
    card: ModelCard,
    store: Store,
    options: EvaluateOptions,
) -> Predictions:
    parts = []
    for split in options.splits:
        size = options.image_size or card.image_size
        loader = open_loader(
            store,
            split,
            LoaderOptions.reading_as(options, batch_size=options.batch_size, image_size=size),
            rank=Rank(accelerator.process_index, accelerator.num_processes),
            device=accelerator.device,
            train=False,
            bad_samples=options.folder / bad_samples_file(accelerator.process_index),
        )
        with loader:
            parts.append(predict(accelerator, model, loader.epoch(), card))
        check_complete(parts[-1], store, split)
    names = ("rows", "labels", "top", "probabilities", "losses")
    return Predictions(*(np.concatenate([getattr(part, name) for part in parts]) for name in names))


def check_complete(predictions: Predictions, store: Store, split: str) -> None:
    """Make sure that each photo of a split was seen exactly once.

    Raises:
        StoreError: some were not.
    """
    rows = store.split_rows(split)
    if not np.array_equal(predictions.rows, np.arange(rows.start, rows.stop)):
        seen = len(np.unique(predictions.rows))
        raise StoreError(
            f"{store.path}: evaluation of {split} saw {seen} of {len(rows)} photos, "
            f"{len(predictions.rows)} in all; this is a fault of the loader, please report it"
        )


def _check_classes(folder: Path, store: Store) -> None:
    """The run's classes must be the store's: a label means nothing without them."""
    trained = pq.read_table(folder / CLASSES, columns=["landmark_id"])["landmark_id"].to_pylist()
    present = store.classes()["landmark_id"].to_pylist()
    if trained != present:
        raise ConfigError(
            f"{folder}: trained on {len(trained)} classes, {store.path} has {len(present)}"
            f"{'' if len(trained) != len(present) else ' others'}; evaluate on a store with the "
            "classes of the run"
        )
