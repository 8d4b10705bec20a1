"""Photos through a model: what it says of each, in arrays that are made once."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, fields
from typing import Any

import numpy as np
import torch
from accelerate import Accelerator
from accelerate.utils import gather_object
from torch import Tensor, nn

from glr_fast import metrics
from glr_fast.data import Loader, Store, StoreError, normalise
from glr_fast.model_card import ModelCard
from glr_fast.progress import Progress

TOP = 5
_AT_ONCE = 8 << 20
"""Bytes of logits that are looked at together: the memory that this takes beside them."""


@dataclass(frozen=True)
class Predictions:
    """What a model says of some photos; row i of every array is one photo."""

    rows: np.ndarray
    """Rows of the store's samples table, ascending. Shape (photos,), int64."""
    labels: np.ndarray
    """True labels; -1 for photos of a class that the model does not know. Shape (photos,), int64.
    """
    top: np.ndarray
    """Most probable labels, best first. Shape (photos, k), int64; k = min(5, classes)."""
    probabilities: np.ndarray
    """Of the top labels. Shape (photos, k), float32."""
    losses: np.ndarray
    """Cross-entropy of each photo, in nats; nan where the class is unknown. Shape (photos,),
    float32."""

    def __len__(self) -> int:
        return len(self.rows)

    def take(self, which: np.ndarray) -> Predictions:
        """Some of the photos, by index or mask."""
        return Predictions(*(column[which] for column in self.columns()))

    def columns(self) -> tuple[np.ndarray, ...]:
        """The arrays, in the order of the fields."""
        return tuple(getattr(self, field.name) for field in fields(self))

    @classmethod
    def joined(cls, parts: Sequence[Predictions]) -> Predictions:
        """The photos of several predictions, one after the other."""
        columns = zip(*(part.columns() for part in parts), strict=True)
        return cls(*(np.concatenate(column) for column in columns))


def predict(
    accelerator: Accelerator,
    model: nn.Module,
    loader: Loader,
    card: ModelCard,
    relabel: np.ndarray | None = None,
    progress: str | None = None,
) -> Predictions:
    """Run a model over an evaluation's photos, each once over all processes.

    Every process calls it and gets the whole. The answers are written into arrays that are made
    before the first batch: small new ones, kept between the logits of one batch and the next, would
    keep the memory allocator from using the space of the old logits again. The device is read back
    once, at the end.

    Args:
        accelerator: gathers over its processes.
        model: the bare model, on the accelerator's device; left in eval mode.
        loader: this process's share of a split, not training, of uint8 images.
        card: normalisation and logit scale.
        relabel: the model's label for each label of the store, -1 for none; None where they are the
            same. Shape (classes of the store,), int64.
        progress: name of a bar on the terminal; None shows none.
    """
    model.eval()
    device = accelerator.device
    answers = _Answers(len(loader) * loader.plan.local_batch_size, card.num_classes, device)
    labels_of = None if relabel is None else torch.from_numpy(relabel).to(device)
    silent = progress is None or not accelerator.is_main_process
    photos = len(loader.plan.samples)
    with torch.inference_mode(), Progress(photos, progress, "photos", silent) as bar:
        for batch in loader.epoch():
            with accelerator.autocast():
                logits = model(normalise(batch.images, card.mean, card.std))
            kept = slice(batch.valid)
            labels = batch.labels[kept]
            labels = labels if labels_of is None else labels_of[labels]
            answers.add(batch.rows[kept], logits[kept], labels, card.logit_scale)
            del logits  # or it would still be there beside the next batch's
            bar.update(loader.plan.batch_size)
    shares = gather_object([answers.columns()])
    columns = [np.concatenate(column) for column in zip(*shares, strict=True)]
    order = np.argsort(columns[0], kind="stable")
    return Predictions(*(column[order] for column in columns))


class _Answers:
    """Room for the answers of one process, on the device."""

    def __init__(self, photos: int, classes: int, device: torch.device) -> None:
        k = min(TOP, classes)
        self._count = 0
        self._rows = np.empty(photos, np.int64)
        self._labels = torch.empty(photos, dtype=torch.int64, device=device)
        self._top = torch.empty((photos, k), dtype=torch.int64, device=device)
        self._probabilities = torch.empty((photos, k), dtype=torch.float32, device=device)
        self._losses = torch.empty(photos, dtype=torch.float32, device=device)

    def add(self, rows: np.ndarray, logits: Tensor, labels: Tensor, scale: float) -> None:
        """Write down the answers to a batch: (B, C) unscaled logits, which this may overwrite."""
        at_once = max(1, _AT_ONCE // (4 * logits.shape[1]))
        for first in range(0, len(rows), at_once):
            some = slice(first, first + at_once)
            self._add(rows[some], logits[some], labels[some], scale)

    def _add(self, rows: np.ndarray, logits: Tensor, labels: Tensor, scale: float) -> None:
        here = slice(self._count, self._count + len(rows))
        self._count = here.stop
        scaled = logits.float()
        if scale != 1:
            scaled.mul_(scale)
        # Softmax and cross-entropy from one sum a row, with no further array of (B, C).
        total = scaled.logsumexp(1)
        best, top = scaled.topk(self._top.shape[1], dim=1)
        of_true = scaled.gather(1, labels.clamp(min=0)[:, None])[:, 0]
        self._rows[here] = rows
        self._labels[here] = labels
        self._top[here] = top
        self._probabilities[here] = (best - total[:, None]).exp_()
        self._losses[here] = (total - of_true).masked_fill_(labels < 0, torch.nan)

    def columns(self) -> tuple[np.ndarray, ...]:
        """rows, labels, top, probabilities, losses: what was written, on the host."""
        kept = slice(self._count)
        own = (self._labels, self._top, self._probabilities, self._losses)
        return self._rows[kept], *(column[kept].cpu().numpy() for column in own)


def figures_of(predictions: Predictions, train_counts: np.ndarray) -> dict[str, Any]:
    """The figures of some predictions, without intervals: cheap enough between epochs.

    Photos of unknown classes count as distractors for ``gap``, and for nothing else.

    Args:
        predictions: of at least one photo of a known class.
        train_counts: training photos per class of the model. Shape (classes,), int64.

    Returns:
        Those of ``metrics.summarise``, ``loss`` (mean cross-entropy, in nats), ``gap`` and ``ece``.
    """
    # Weights that are not finite give no probability: a loss of nan says so, not an error.
    sure = np.nan_to_num(predictions.probabilities[:, 0])
    known = predictions.take(predictions.labels >= 0)
    confidence = sure[predictions.labels >= 0]
    figures = metrics.summarise(known.labels, known.top, train_counts)
    return figures | {
        "loss": float(known.losses.mean(dtype=np.float64)),
        "gap": metrics.global_average_precision(predictions.labels, predictions.top[:, 0], sure),
        "ece": metrics.expected_calibration_error(known.top[:, 0] == known.labels, confidence),
    }


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
