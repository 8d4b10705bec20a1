"""Statistics of class sizes: by hand, by hypothesis, and against the published figures."""

from __future__ import annotations

from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from shard_tools.report.class_counts import read_counts
from shard_tools.report.statistics import (
    Box,
    concentration,
    frequency_curve,
    imbalance,
    largest,
    rarest,
    size_bands,
)

SIZES = st.lists(st.integers(0, 10_000), min_size=1, max_size=300).filter(any)


def test_by_hand() -> None:
    figures = imbalance(np.array([1, 0, 3, 8, 100]))
    assert (figures.classes, figures.photos, figures.max, figures.min) == (4, 112, 100, 1)
    assert (figures.median, figures.mean, figures.ratio) == (5.5, 28.0, 100.0)
    assert (figures.small, figures.singletons, figures.half) == (0.75, 1, 1)
    assert figures.gini == pytest.approx((2 * (1 + 6 + 24 + 400) / 112 - 5) / 4)
    even = imbalance(np.full(10, 7))
    assert (even.gini, even.half) == (pytest.approx(0), 5)
    assert even.effective == pytest.approx(10)
    with pytest.raises(ValueError, match="no class has photos"):
        imbalance(np.zeros(3))


@given(SIZES)
def test_gini_is_the_mean_difference(sizes: list[int]) -> None:
    counts = np.array([size for size in sizes if size])
    differences = np.abs(counts[:, None] - counts[None]).mean()
    assert imbalance(np.array(sizes)).gini == pytest.approx(differences / counts.mean() / 2)


@given(SIZES)
def test_the_staircase_gives_back_every_count(sizes: list[int]) -> None:
    ranks, photos = frequency_curve(np.array(sizes))
    wanted = sorted((size for size in sizes if size), reverse=True)
    steps = np.searchsorted(ranks, np.arange(1, len(wanted) + 1), side="right") - 1
    assert photos[steps].tolist() == wanted
    assert (ranks[0], ranks[-1]) == (1, len(wanted))


def test_the_staircase_is_thinned() -> None:
    ranks, photos = frequency_curve(np.arange(1, 50_001), points=100)
    assert 95 < len(ranks) <= 100
    assert (ranks[0], ranks[-1], photos[0], photos[-1]) == (1, 50_000, 50_000, 1)


@given(SIZES)
def test_bands_hold_everything(sizes: list[int]) -> None:
    counts = np.array(sizes)
    bands = size_bands(counts)
    for band in bands:
        inside = counts[(counts >= band.low) & (counts <= band.high)]
        assert (band.classes, band.photos) == (len(inside), inside.sum())
    assert sum(band.photos for band in bands) == counts.sum()
    assert all(a.high + 1 == b.low for a, b in pairwise(bands))


def test_labels_of_bands() -> None:
    labels = [band.label for band in size_bands(np.array([1, 2, 1030]))]
    assert (labels[0], labels[1], labels[-1]) == ("1", "2–3", "1,024–2,047")


def test_concentration() -> None:
    classes, photos = concentration(np.array([1, 1, 2, 6, 0]))
    assert classes.tolist() == [0, 0.25, 0.5, 0.75, 1]
    assert photos.tolist() == [0, 0.6, 0.8, 0.9, 1]


def test_box() -> None:
    box = Box.of(np.arange(101))
    assert (box.low, box.q1, box.median, box.q3, box.high) == (1, 25, 50, 75, 99)
    assert (box.mean, box.min, box.max, box.n) == (50, 0, 100, 101)


def test_largest_and_rarest() -> None:
    counts = np.array([3, 0, 9, 3, 1])
    assert largest(counts, 3).tolist() == [2, 0, 3]
    assert rarest(counts, 3).tolist() == [4, 3, 0]
    assert largest(counts, 9).tolist() == [2, 0, 3, 4]


def test_the_published_figures(shared: Path) -> None:
    counts = read_counts(shared / "data" / "glr2020" / "class_counts.csv").total
    figures = imbalance(counts)
    assert (figures.photos, figures.classes, figures.max, figures.min) == (
        1_580_470,
        81_313,
        6272,
        2,
    )
    assert figures.small == pytest.approx(0.975, abs=5e-4)
    assert counts[largest(counts, 12)].sum() == 19_999
    ranks, photos = frequency_curve(counts)
    assert len(ranks) < 1_000
    steps = np.searchsorted(ranks, np.arange(1, 81_314), side="right") - 1
    assert photos[steps].sum() == 1_580_470
