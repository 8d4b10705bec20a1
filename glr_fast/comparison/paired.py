"""Whether one model is better than another, or the photos happened to suit it: paired bootstrap.

Both models are judged on the same resamples of the photos, so what makes a resample hard makes it
hard for both, and the interval of the difference is narrower than those of the figures.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import pyarrow as pa
from tqdm import tqdm

from glr_fast.metrics import Photos

LEVEL = 0.95

#: From how often each photo counts, shape (photos,), to the figure.
Figure = Callable[[np.ndarray], float]


@dataclass(frozen=True)
class Difference:
    """How much larger the best run's figure is than another run's."""

    value: float
    """On the photos as they are."""
    low: float
    """Lower end of its 95% interval."""
    high: float
    """Upper end."""

    @property
    def tied(self) -> bool:
        """Whether no difference at all is within the interval."""
        return self.low <= 0


def resampled(tables: Sequence[pa.Table], by: str, resamples: int, seed: int = 0) -> np.ndarray:
    """A figure of every run, on the photos as they are and on each resample of them.

    Args:
        tables: the predictions of each run; row i is photo i in all of them.
        by: the figure.
        resamples: how many.
        seed: of the draws.

    Returns:
        Shape (runs, 1 + resamples), float64; the first column is of the photos as they are.
    """
    figures = [_figure_of(table, by) for table in tables]
    random, photos = np.random.default_rng(seed), len(tables[0])
    columns = [[figure(np.ones(photos)) for figure in figures]]
    for _ in tqdm(range(resamples), desc="bootstrap", unit=" resamples", disable=None):
        drawn = np.bincount(random.integers(0, photos, photos), minlength=photos)
        columns.append([figure(drawn.astype(np.float64)) for figure in figures])
    return np.array(columns).T


def _figure_of(table: pa.Table, by: str) -> Figure:
    """The figure of a run as a function of how often each photo counts."""
    top, probabilities = (
        table[name].combine_chunks().flatten().to_numpy().reshape(len(table), -1)
        for name in ("top_labels", "top_probabilities")
    )
    labels, losses = table["label"].to_numpy(), table["loss"].to_numpy()
    classes = int(max(labels.max(), top.max())) + 1
    photos = Photos(labels, top, probabilities[:, 0], losses, np.zeros(classes, np.int64))

    def figure(weights: np.ndarray) -> float:  # made one by one, so no more than it takes
        return next(v for name, v in photos.figures(weights[photos.order]) if name == by)

    return figure


def difference(best: np.ndarray, other: np.ndarray) -> Difference:
    """The difference of a figure between two runs, as :func:`resampled` gives it."""
    found = (best - other)[1:]
    value, tail = float(best[0] - other[0]), (1 - LEVEL) / 2
    # Macro figures of resamples are a little off, since rare classes drop out: put that right.
    low, high = np.quantile(found, [tail, 1 - tail]) + (value - found.mean())
    return Difference(value, float(low), float(high))
