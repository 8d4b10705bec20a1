"""Whether a model's probabilities mean what they say, and which of them can be trusted."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

BINS = 15
PRECISIONS = (0.90, 0.95, 0.99)


def reliability(
    right: np.ndarray, confidence: np.ndarray, bins: int = BINS
) -> list[dict[str, float]]:
    """The bars of a reliability diagram: accuracy by confidence.

    Args:
        right: whether each prediction is right. Shape (photos,), bool.
        confidence: its probability, from 0 to 1. Shape (photos,), float.
        bins: intervals ``(b / bins, (b + 1) / bins]`` of confidence.

    Returns:
        For each interval that has photos: ``from``, ``to``, ``photos``, ``confidence`` (mean) and
        ``accuracy``.
    """
    place = bin_of(confidence, bins)
    photos = np.bincount(place, minlength=bins)
    sums = np.bincount(place, weights=confidence, minlength=bins)
    hits = np.bincount(place, weights=right, minlength=bins)
    return [
        {
            "from": b / bins,
            "to": (b + 1) / bins,
            "photos": int(photos[b]),
            "confidence": float(sums[b] / photos[b]),
            "accuracy": float(hits[b] / photos[b]),
        }
        for b in np.flatnonzero(photos).tolist()
    ]


def bin_of(confidence: np.ndarray, bins: int = BINS) -> np.ndarray:
    """Number of the interval ``(b / bins, (b + 1) / bins]`` that holds each value; 0 for 0."""
    return np.clip(np.ceil(confidence.astype(np.float64) * bins).astype(np.int64) - 1, 0, bins - 1)


def expected_calibration_error(
    right: np.ndarray, confidence: np.ndarray, bins: int = BINS
) -> float | None:
    """Mean difference between confidence and accuracy: ``sum_b n_b / n * |acc_b - conf_b|``.

    Guo, Pleiss, Sun and Weinberger, "On Calibration of Modern Neural Networks" (ICML 2017),
    equation 3, with 15 intervals of equal width as there. 0 is perfect; it depends on the bins.

    Args:
        right: whether each prediction is right. Shape (photos,), bool.
        confidence: its probability, from 0 to 1. Shape (photos,), float.
        bins: intervals of confidence.

    Returns:
        From 0 to 1; None without photos.
    """
    if not len(right):
        return None
    gap = right.astype(np.float64) - confidence
    return float(np.abs(np.bincount(bin_of(confidence, bins), weights=gap)).sum() / len(right))


def thresholds(
    right: np.ndarray, confidence: np.ndarray, precisions: Sequence[float] = PRECISIONS
) -> dict[str, dict[str, Any]]:
    """The lowest confidence at which to accept predictions so that enough of them are right.

    Args:
        right: whether each prediction is right; False for a photo of no known landmark. Shape
            (photos,), bool.
        confidence: its probability. Shape (photos,), float.
        precisions: shares of the accepted predictions that shall be right.

    Returns:
        By precision (``"0.90"``): ``probability`` (accept what has this or more; None where no
        threshold reaches the precision), ``accepted`` (photos), ``coverage`` (share of all photos)
        and ``precision`` (share of the accepted that is right; None where nothing is accepted).
    """
    order = np.argsort(-confidence, kind="stable")
    sorted_confidence = confidence[order]
    accepted = np.arange(1, len(order) + 1)
    precision = np.cumsum(right[order]) / accepted
    # Equal probabilities are accepted together: only the last of them can be the threshold.
    last = np.append(np.diff(sorted_confidence) != 0, True)[: len(order)]
    found = {}
    for wanted in precisions:
        reached = np.flatnonzero(last & (precision >= wanted))
        at = int(reached[-1]) if len(reached) else None
        found[f"{wanted:.2f}"] = {
            "probability": None if at is None else float(sorted_confidence[at]),
            "accepted": 0 if at is None else at + 1,
            "coverage": 0.0 if at is None else (at + 1) / len(order),
            "precision": None if at is None else float(precision[at]),
        }
    return found


def too_few(found: Mapping[str, Any], precision: float) -> bool:
    """Whether so few photos are accepted that they cannot show a precision: 25 right ones no 99%.

    One mistake among them would be more than the precision allows.

    Args:
        found: an entry of :func:`thresholds`.
        precision: its key, as a number.
    """
    return found["accepted"] > 0 and found["accepted"] * (1 - precision) < 1
