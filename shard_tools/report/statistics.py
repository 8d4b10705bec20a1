"""Statistics of a collection of photos: pure functions of counts and sizes; no files, no drawing.

Whatever the number of classes, every chart needs few points: a curve over descending counts needs
one point for each distinct count, a box plot five numbers.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

SMALL_CLASS = 100
"""Classes with fewer photos count as small, as in the literature on this data set."""
CURVE_POINTS = 4_000
"""Most points of a curve over all classes."""
FEWEST_IN_BOX = 8
"""Quartiles of fewer values say nothing that the values themselves do not."""
MOST_BARS = 12
"""Distinct values that are drawn one by one."""
BINS = 24
"""Bars of a histogram of more values."""


@dataclass(frozen=True)
class Imbalance:
    """How unevenly photos are spread over classes."""

    classes: int
    photos: int
    max: int
    min: int
    """Photos of the smallest class that has any."""
    median: float
    mean: float
    gini: float
    """0 if all classes are the same size, close to 1 if one class has everything."""
    ratio: float
    """Largest class over smallest."""
    small: float
    """Share of classes with fewer than ``SMALL_CLASS`` photos, 0 to 1."""
    singletons: int
    """Number of classes with a single photo."""
    half: int
    """How many of the largest classes hold half of all photos."""
    effective: float
    """How many classes of equal size would have the same entropy: exp(entropy)."""

    def as_dict(self) -> dict[str, Any]:
        """The figures by name, for JSON."""
        return asdict(self)


def imbalance(counts: np.ndarray) -> Imbalance:
    """Imbalance figures of photos per class.

    Args:
        counts: shape (classes,), integers; classes without photos are left out.

    Raises:
        ValueError: there are no photos at all.
    """
    counts = np.sort(counts[counts > 0].astype(np.int64))
    if not len(counts):
        raise ValueError("no class has photos")
    total, n = int(counts.sum()), len(counts)
    ranks = np.arange(1, n + 1)
    share = counts / total
    return Imbalance(
        classes=n,
        photos=total,
        max=int(counts[-1]),
        min=int(counts[0]),
        median=float(np.median(counts)),
        mean=total / n,
        gini=float(2 * (ranks * share).sum() / n - (n + 1) / n),
        ratio=float(counts[-1] / counts[0]),
        small=float((counts < SMALL_CLASS).mean()),
        singletons=int((counts == 1).sum()),
        half=int(np.searchsorted(np.cumsum(counts[::-1]), total / 2) + 1),
        effective=float(np.exp(-(share * np.log(share)).sum())),
    )


def frequency_curve(
    counts: np.ndarray, points: int = CURVE_POINTS
) -> tuple[np.ndarray, np.ndarray]:
    """Photos per class in descending order, as a staircase.

    One corner for each distinct count makes it exact: 1,580,470 photos of 81,313 classes need 700.
    If there are more than ``points``, corners are left out at regular intervals.

    Returns:
        The ranks, from 1, at which a step begins, and the last rank; the photos of each class from
        there on. Both of shape (corners,), int64.
    """
    descending = np.sort(counts[counts > 0].astype(np.int64))[::-1]
    starts = np.flatnonzero(np.concatenate([[True], np.diff(descending) != 0]))
    if len(starts) >= points:
        starts = starts[np.linspace(0, len(starts) - 1, points - 1).round().astype(np.int64)]
    corners = np.unique(np.append(starts, len(descending) - 1))
    return corners + 1, descending[corners]


@dataclass(frozen=True)
class Band:
    """Classes of similar size."""

    low: int
    """Fewest photos per class."""
    high: int
    """Most photos per class."""
    classes: int
    photos: int

    @property
    def label(self) -> str:
        """The range as text, such as ``8–15``."""
        return f"{self.low:,}" if self.low == self.high else f"{self.low:,}–{self.high:,}"


def size_bands(counts: np.ndarray) -> list[Band]:
    """Histogram of class sizes in bands that double: 1, 2-3, 4-7, 8-15 and so on."""
    counts = counts[counts > 0].astype(np.int64)
    power = np.frexp(counts.astype(np.float64))[1] - 1  # exact: counts are under 2^53
    bands = range(int(power.min()), int(power.max()) + 1)
    return [
        Band(
            low=1 << place,
            high=(2 << place) - 1,
            classes=int((power == place).sum()),
            photos=int(counts[power == place].sum()),
        )
        for place in bands
    ]


def concentration(counts: np.ndarray, points: int = 200) -> tuple[np.ndarray, np.ndarray]:
    """Share of all photos that the largest classes hold (a Lorenz curve read from its upper end).

    Returns:
        Share of classes, largest first, and share of photos: from 0 to 1, both of the same length,
        at most ``points + 1``.
    """
    descending = np.sort(counts[counts > 0].astype(np.int64))[::-1]
    held = np.concatenate([[0], np.cumsum(descending)]) / descending.sum()
    n = len(descending)
    ranks = np.unique(np.geomspace(1, n, points).round().astype(np.int64))
    ranks = np.concatenate([[0], ranks])
    return ranks / n, held[ranks]


@dataclass(frozen=True)
class Box:
    """The numbers that a box plot shows."""

    low: float
    """First percentile: the lower whisker."""
    q1: float
    median: float
    q3: float
    high: float
    """99th percentile: the upper whisker."""
    mean: float
    min: float
    max: float
    n: int

    @classmethod
    def of(cls, values: np.ndarray) -> Box:
        """The box of values of shape (N,), N at least 1."""
        low, q1, median, q3, high = np.quantile(values, (0.01, 0.25, 0.5, 0.75, 0.99)).tolist()
        mean, least, most = float(values.mean()), float(values.min()), float(values.max())
        return cls(low, q1, median, q3, high, mean, least, most, len(values))

    @property
    def degenerate(self) -> bool:
        """Whether a box plot would be a bare line or rectangle, or drawn of a handful of values."""
        distinct = {self.low, self.q1, self.median, self.q3, self.high}
        return len(distinct) < 4 or self.q1 == self.q3 or self.n < FEWEST_IN_BOX


@dataclass(frozen=True)
class Bin:
    """A bar of a histogram."""

    low: float
    high: float
    """Equal to ``low`` for a bar of a single value; otherwise only the last bin includes it."""
    number: int


def histogram(values: np.ndarray, log: bool = False) -> list[Bin]:
    """A bar for each distinct value if these are few; otherwise bins of equal width.

    Args:
        values: shape (N,), N at least 1.
        log: bins have equal ratios instead; the values must be positive.
    """
    distinct, numbers = np.unique(values, return_counts=True)
    if len(distinct) <= MOST_BARS:
        pairs = zip(distinct.tolist(), numbers.tolist(), strict=True)
        return [Bin(value, value, number) for value, number in pairs]
    space = np.geomspace if log else np.linspace
    edges = space(float(distinct[0]), float(distinct[-1]), BINS + 1)
    edges[0], edges[-1] = distinct[0], distinct[-1]  # rounding could leave the extremes outside
    counts, _ = np.histogram(values, edges)
    ends = edges.tolist()
    return [Bin(*bin_) for bin_ in zip(ends[:-1], ends[1:], counts.tolist(), strict=True)]


def largest(counts: np.ndarray, number: int) -> np.ndarray:
    """Labels of the classes with the most photos, descending; ties go to the lower label."""
    order = np.argsort(-counts.astype(np.int64), kind="stable")
    return order[: min(number, int((counts > 0).sum()))]


def rarest(counts: np.ndarray, number: int) -> np.ndarray:
    """Labels of the classes with the fewest photos but at least one, ascending.

    This is the order of :func:`largest` reversed, so a class is in both lists only if the lists
    together are longer than the number of classes.
    """
    return largest(counts, len(counts))[::-1][:number]
