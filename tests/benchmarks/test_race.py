"""Races and sweeps: what the best of several trials flatters by, and the table of both."""

from __future__ import annotations

import numpy as np
import pytest

from benchmarks.bench_race import OURS, best_of, rows


def test_the_best_of_some_trials() -> None:
    assert best_of([5.0, 5.0], 8) == 5
    assert best_of([1.0, 3.0], 1) == pytest.approx(2)
    assert best_of([1.0, 3.0], 2) == pytest.approx(2.5)  # both are the smaller one time in four
    rates = [3.0, 1.0, 9.0, 4.0]
    drawn = np.random.default_rng(0).choice(rates, (20_000, 8)).max(axis=1)
    assert best_of(rates, 8) == pytest.approx(drawn.mean(), abs=0.05)


def test_a_row_says_by_how_much_ours_is_faster() -> None:
    apart = {OURS: [100.0, 100.0, 100.0], "other": [40.0, 50.0, 60.0]}
    raced = {OURS: [90.0, 90.0, 90.0], "other": [30.0, 30.0, 30.0]}
    ours, other = rows(apart, raced)
    assert ours[3:] == ["0.90", "1.00", "1.00", "1.00", "1.00"]
    assert other[3:] == ["0.60", "1.19", "2.00", "3.00", "1.68"]
