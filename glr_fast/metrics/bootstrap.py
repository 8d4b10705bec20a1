"""How sure the figures are: intervals by resampling the photos (bootstrap).

Efron and Tibshirani, "An Introduction to the Bootstrap" (1993), chapter 13 (percentile intervals).
An interval says how much a figure depends on which photos happened to be in the split. It says
nothing of the luck of training: another seed gives another model.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
from tqdm import trange

from glr_fast.metrics.accuracy import bands_of
from glr_fast.metrics.calibration import BINS, bin_of

LEVEL = 0.95


def intervals(
    labels: np.ndarray,
    top: np.ndarray,
    probabilities: np.ndarray,
    losses: np.ndarray,
    train_counts: np.ndarray,
    resamples: int = 1000,
    seed: int = 0,
) -> dict[str, list[float] | None]:
    """A 95% interval for every figure of an evaluation.

    The photos are drawn with replacement ``resamples`` times, as many as there are; each time all
    figures are computed from how often each photo was drawn. An interval holds the middle 95% of
    the results. Macro figures of a resample are means over the classes that it holds. That shifts
    them where many classes have a photo or two, so each interval is moved by the difference
    between the figure and the mean of its resamples.

    Args:
        labels: true labels, negative for photos of no known class. Shape (photos,), int.
        top: most probable labels, best first. Shape (photos, k), int.
        probabilities: theirs. Shape (photos, k), float.
        losses: cross-entropy of each photo. Shape (photos,), float; ignored for unknown classes.
        train_counts: training photos per class. Shape (classes,), int.
        resamples: how many; 0 gives no intervals.
        seed: of the draws; equal seeds give equal intervals.

    Returns:
        ``[low, high]`` by the figure's key; ``accuracy_many`` and so on for the bands of frequency.
        None where the figure cannot be had.
    """
    if not resamples or not len(labels):
        return {}
    photos = Photos(labels, top, probabilities[:, 0], losses, train_counts)
    names, found = _estimates(photos, resamples, seed)
    whole = np.array([value for _, value in photos.figures(np.ones(len(labels)))])
    tail = (1 - LEVEL) / 2
    result: dict[str, list[float] | None] = {}
    for name, figure, values in zip(names, whole, found.T, strict=True):
        values = values[~np.isnan(values)]
        if np.isnan(figure) or not len(values):
            result[name] = None
            continue
        low, high = np.quantile(values, [tail, 1 - tail]) + (figure - values.mean())
        most = np.inf if name == "loss" else 1.0
        result[name] = [float(np.clip(end, 0.0, most)) for end in (low, high)]
    return result


def _estimates(photos: Photos, resamples: int, seed: int) -> tuple[list[str], np.ndarray]:
    """Names of the figures, and their values in each resample: shape (resamples, figures)."""
    random = np.random.default_rng(seed)
    count, names, rows = len(photos), [], []
    # A minute or two for 100,000 photos of 50,000 classes, and nothing to be seen for few photos.
    for _ in trange(resamples, desc="intervals", unit=" resamples", delay=1, disable=None):
        drawn = np.bincount(random.integers(0, count, count), minlength=count)
        names, values = zip(*photos.figures(drawn.astype(np.float64)), strict=True)
        rows.append(values)
    return list(names), np.array(rows)


class Photos:
    """The photos of an evaluation, prepared so that figures follow from weights in one pass.

    ``order`` are the photos by falling confidence.

    They lie in that order, and classes are numbered from 0 without gaps, so that
    one resample of 100,000 photos of 57,000 classes takes some milliseconds: sums and bincounts.
    """

    def __init__(
        self,
        labels: np.ndarray,
        top: np.ndarray,
        confidence: np.ndarray,
        losses: np.ndarray,
        train_counts: np.ndarray,
    ) -> None:
        self.order = order = np.argsort(-confidence, kind="stable")
        labels, top, confidence = labels[order], top[order], confidence[order].astype(np.float64)
        self._hits = top[:, 0] == labels
        # Last photo of those with the same confidence: GAP takes equal ones as one step.
        ends = np.flatnonzero(np.append(np.diff(confidence) != 0, True))
        self._step_end = ends[np.searchsorted(ends, np.flatnonzero(self._hits))]
        self._known = np.flatnonzero(labels >= 0)
        known = self._known
        self._sums = {
            "accuracy": self._hits[known].astype(np.float64),
            "top5_accuracy": (top == labels[:, None]).any(axis=1)[known].astype(np.float64),
            "loss": losses[order][known].astype(np.float64),
        }
        bands = bands_of(train_counts[labels[known]])
        self._bands = {name: inside.astype(np.float64) for name, inside in bands.items()}
        classes, numbers = np.unique(
            np.concatenate([labels[known], top[known, 0]]), return_inverse=True
        )
        self._true, self._predicted = numbers[: len(known)], numbers[len(known) :]
        self._classes = len(classes)
        self._bin = bin_of(confidence[known])
        self._excess = self._sums["accuracy"] - confidence[known]

    def __len__(self) -> int:
        return len(self._hits)

    def figures(self, weights: np.ndarray) -> Iterator[tuple[str, float]]:
        """Every figure, if each photo counted ``weights`` times; nan where it cannot be had.

        Args:
            weights: in the order of confidence. Shape (photos,), float64.
        """
        known = weights[self._known]
        total = known.sum()
        right = known * self._sums["accuracy"]
        for name, values in self._sums.items():
            yield name, _ratio(float(known @ values), total)
        yield from self._averages(known, right, total)
        yield "gap", self._gap(weights, total)
        gaps = np.bincount(self._bin, weights=known * self._excess, minlength=BINS)
        yield "ece", _ratio(float(np.abs(gaps).sum()), total)
        for name, inside in self._bands.items():
            yield f"accuracy_{name}", _ratio(float(right @ inside), float(known @ inside))

    def _averages(
        self, known: np.ndarray, right: np.ndarray, total: float
    ) -> Iterator[tuple[str, float]]:
        photos = np.bincount(self._true, weights=known, minlength=self._classes)
        found = np.bincount(self._true, weights=right, minlength=self._classes)
        claimed = np.bincount(self._predicted, weights=known, minlength=self._classes)
        present = photos > 0
        photos, found, claimed = photos[present], found[present], claimed[present]
        of_class = {
            "precision": found / np.maximum(claimed, 1),
            "recall": found / np.maximum(photos, 1),
            "f1": 2 * found / np.maximum(photos + claimed, 1),
        }
        for name, values in of_class.items():
            yield f"macro_{name}", _ratio(float(values.sum()), len(values))
            yield f"weighted_{name}", _ratio(float(values @ photos), total)
        yield "balanced_accuracy", _ratio(float(of_class["recall"].sum()), int(present.sum()))

    def _gap(self, weights: np.ndarray, total: float) -> float:
        """See ``global_average_precision``; a photo that was drawn twice is two equal ones."""
        right = weights[self._hits]
        before = np.cumsum(weights * self._hits)[self._step_end]
        among = np.cumsum(weights)[self._step_end]
        return _ratio(float(right @ (before / np.maximum(among, 1))), total)


def _ratio(part: float, whole: float) -> float:
    return part / whole if whole else float("nan")
