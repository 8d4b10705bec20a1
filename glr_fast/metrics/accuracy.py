"""Accuracy, precision, recall and F1: over all photos, by class, and by class frequency."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, cast

import numpy as np
import pandas as pd
from sklearn.metrics import precision_recall_fscore_support

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
        ``weighted_...`` ``precision``, ``recall``, ``f1``, ``balanced_accuracy`` and
        ``by_frequency``. Shares in 0..1; None where there is no photo.
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
    # Of the classes with a photo, which is what scikit-learn's balanced_accuracy_score means too;
    # that one makes a table of classes x classes.
    figures["balanced_accuracy"] = figures["macro_recall"]
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
    bands = {}
    for name, inside in bands_of(train_counts[labels]).items():
        bands[name] = {
            "training_photos": BAND_TEXT[name],
            "classes": len(np.unique(labels[inside])),
            "photos": int(inside.sum()),
            "accuracy": _mean(right[inside]),
        }
    return bands


def bands_of(train_counts: np.ndarray) -> dict[str, np.ndarray]:
    """Which classes (or photos, by the counts of their classes) each band holds.

    Args:
        train_counts: training photos. Shape (n,).

    Returns:
        Per band: shape (n,), bool.
    """
    return {
        name: (train_counts >= least) & (train_counts <= (np.inf if most is None else most))
        for name, (least, most) in BANDS.items()
    }


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
