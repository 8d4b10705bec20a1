"""Figures of a predictions table: accuracy, top-5, precision, recall, F1, and by class frequency.

All are functions of arrays on one process. Macro figures are means over the classes that have at
least one photo in what is evaluated: at 81,313 classes a test split misses many. Nothing here is
of size classes x classes.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, cast

import numpy as np
import pandas as pd
from matplotlib.figure import Figure
from sklearn.metrics import confusion_matrix, precision_recall_fscore_support

#: Bands of training photos per class: name -> (least, most).
BANDS = {"many": (101, None), "medium": (20, 100), "few": (0, 19)}
BAND_TEXT = {"many": "over 100", "medium": "20 to 100", "few": "under 20"}


def summarise(labels: np.ndarray, top: np.ndarray, train_counts: np.ndarray) -> dict[str, Any]:
    """Every figure of a split.

    Args:
        labels: true labels, shape (photos,), int64.
        top: most probable labels, best first, shape (photos, k).
        train_counts: training photos per class, shape (classes,), int64.

    Returns:
        ``photos``, ``classes`` (with a photo), ``accuracy``, ``top5_accuracy``, ``macro_...`` and
        ``weighted_...`` ``precision``, ``recall``, ``f1``, and ``by_frequency``. Shares in 0..1.
    """
    right = top == labels[:, None]
    figures: dict[str, Any] = {
        "photos": len(labels),
        "classes": len(np.unique(labels)),
        "accuracy": _mean(right[:, 0]),
        "top5_accuracy": _mean(right.any(axis=1)),
    }
    for average in ("macro", "weighted"):
        figures |= _averages(labels, top[:, 0], average)
    figures["by_frequency"] = by_frequency(labels, right[:, 0], train_counts)
    figures["note"] = "macro: mean over the classes with at least one photo in the evaluated split"
    return figures


def by_frequency(
    labels: np.ndarray, right: np.ndarray, train_counts: np.ndarray
) -> dict[str, dict[str, Any]]:
    """Accuracy over the photos of frequent and rare classes.

    Args:
        labels: true labels, shape (photos,).
        right: whether the prediction is right, shape (photos,), bool.
        train_counts: training photos per class, shape (classes,).

    Returns:
        Per band: ``training_photos`` (in words), ``classes``, ``photos`` and ``accuracy`` (None
        when it has no photo).
    """
    of_photo = train_counts[labels]
    bands = {}
    for name, (least, most) in BANDS.items():
        inside = (of_photo >= least) & (of_photo <= (np.inf if most is None else most))
        bands[name] = {
            "training_photos": BAND_TEXT[name],
            "classes": len(np.unique(labels[inside])),
            "photos": int(inside.sum()),
            "accuracy": _mean(right[inside]),
        }
    return bands


def per_class(labels: np.ndarray, predicted: np.ndarray, train_counts: np.ndarray) -> pd.DataFrame:
    """One row per class with a photo: label, train (photos), photos, precision, recall, f1."""
    present = np.unique(labels)
    precision, recall, f1, support = precision_recall_fscore_support(
        labels, predicted, labels=present, average=None, zero_division=cast(Any, 0)
    )
    columns = {"label": present, "train": train_counts[present], "photos": support}
    return pd.DataFrame(columns | {"precision": precision, "recall": recall, "f1": f1})


def confused_pairs(
    labels: np.ndarray, predicted: np.ndarray, names: Sequence[str], most: int = 1000
) -> pd.DataFrame:
    """The most frequent mistakes: label, predicted, their names, photos, and share of the class.

    Counted sparsely: as many rows as there are distinct mistakes, at most ``most``.
    """
    table = pd.DataFrame({"label": labels, "predicted": predicted})
    wrong = table[table["label"] != table["predicted"]]
    counts = wrong.groupby(["label", "predicted"], as_index=False).size()
    pairs = cast(pd.DataFrame, counts).rename(columns={"size": "photos"})
    pairs = pairs.sort_values(["photos", "label", "predicted"], ascending=[False, True, True])
    pairs = pairs.head(most).reset_index(drop=True)
    of_class = np.bincount(labels, minlength=len(names))
    pairs["share_of_class"] = pairs["photos"] / of_class[pairs["label"]]
    pairs["name"] = [names[label] for label in pairs["label"]]
    pairs["predicted_name"] = [names[label] for label in pairs["predicted"]]
    return pairs


def as_table(figures: Mapping[str, Any]) -> str:
    """The figures as lines for a terminal, shares in per cent."""
    head = f"{figures['photos']} photos of {figures['classes']} classes"
    rows = [("accuracy", figures["accuracy"]), ("top-5 accuracy", figures["top5_accuracy"])]
    for average in ("macro", "weighted"):
        for name in ("precision", "recall", "f1"):
            text = f"{average} {'F1' if name == 'f1' else name}"
            rows.append((text, figures[f"{average}_{name}"]))
    for name, band in figures["by_frequency"].items():
        text = f"{name} ({band['training_photos']} training photos)"
        rows.append((f"{text}, {band['photos']} photos", band["accuracy"]))
    width = max(len(text) for text, _ in rows)
    lines = [f"  {text:<{width}}  {_percent(value):>7}" for text, value in rows]
    return "\n".join([head, *lines])


def _averages(labels: np.ndarray, predicted: np.ndarray, average: Any) -> dict[str, float | None]:
    keys = [f"{average}_{name}" for name in ("precision", "recall", "f1")]
    if not len(labels):
        return dict.fromkeys(keys)
    values = precision_recall_fscore_support(
        labels, predicted, labels=np.unique(labels), average=average, zero_division=cast(Any, 0)
    )
    return dict(zip(keys, map(float, values[:3]), strict=True))


def _mean(values: np.ndarray) -> float | None:
    return float(values.mean()) if len(values) else None


def _percent(share: float | None) -> str:
    return "-" if share is None else f"{100 * share:.2f}%"


def draw_confusion(
    labels: np.ndarray, predicted: np.ndarray, names: Sequence[str], file: Path
) -> None:
    """Draw the confusion matrix as a PNG, rows normalised; for at most some 50 classes.

    Args:
        labels: true labels, shape (photos,).
        predicted: predicted labels, shape (photos,).
        names: of all classes, by label.
        file: where the picture goes.
    """
    counts = confusion_matrix(labels, predicted, labels=np.arange(len(names)))
    share = counts / np.maximum(counts.sum(axis=1, keepdims=True), 1)
    side = 3 + 0.42 * len(names)
    figure = Figure(figsize=(side, side), layout="constrained")  # no pyplot: no display, no state
    axes = figure.add_subplot()
    axes.imshow(share, cmap="Blues", vmin=0, vmax=1)
    ticks = np.arange(len(names))
    axes.set_xticks(ticks, [shorten(name) for name in names], rotation=60, ha="right")
    axes.set_yticks(ticks, [shorten(name) for name in names])
    axes.set_xlabel("predicted")
    axes.set_ylabel("true")
    for row, column in np.argwhere(counts):
        dark = share[row, column] > 0.5
        text = str(counts[row, column])
        axes.text(column, row, text, ha="center", va="center", color="white" if dark else "black")
    axes.set_title(f"{len(labels)} photos; colour: share of the true class")
    figure.savefig(file, dpi=100)


def shorten(name: str, most: int = 24) -> str:
    """A name that fits beside a picture."""
    return name if len(name) <= most else name[: most - 1] + "…"
