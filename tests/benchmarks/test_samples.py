"""Medians, ratios, verdicts and tables from samples made by hand."""

from __future__ import annotations

import csv
from pathlib import Path

import pytest

from benchmarks.samples import (
    Sample,
    Spread,
    Target,
    best,
    draw_bars,
    ratio,
    table,
    write_csv,
)


def turns(*rates: float) -> list[Sample]:
    return [Sample(photos=int(rate * 2), seconds=2.0, cpu_seconds=4.0) for rate in rates]


def test_spread_is_median_least_and_most() -> None:
    assert Spread.of([3, 1, 2]) == Spread(2, 1, 3)
    assert Spread.of([1234.4]).text(0) == "1,234 (1,234 to 1,234)"
    assert Spread(0.5, 0.25, 0.75).text(2) == "0.50 (0.25 to 0.75)"


def test_a_median_of_many_lies_closer_than_the_values_do() -> None:
    assert Spread.of_the_median([3.0]) == Spread(3, 3, 3)
    few = Spread.of_the_median([0.8, 0.95, 1.0, 1.05, 1.3])
    many = Spread.of_the_median([0.8, 0.95, 1.0, 1.05, 1.3] * 20)
    assert (few.median, few.low, few.high) == (1, 0.8, 1.3)
    assert many.median == 1
    assert 0.95 <= many.low <= 1 <= many.high <= 1.05
    # Ranks of a median of n values: n / 2, 1.96 sqrt(n) / 2 up and down.
    ranks = Spread.of_the_median(list(map(float, range(1, 102))))
    assert (ranks.low, ranks.high) == pytest.approx((41, 61), abs=2)
    assert many == Spread.of_the_median([0.8, 0.95, 1.0, 1.05, 1.3] * 20)  # the same each time


def test_ratio_is_formed_in_each_round() -> None:
    # The machine halves its speed in the middle; the ratio does not notice, that of medians would.
    ours, theirs = turns(200, 100, 200), turns(100, 50, 50)
    assert ratio(ours, theirs) == Spread(2, 2, 4)


def test_ratio_refuses_unequal_rounds() -> None:
    with pytest.raises(ValueError, match="shorter"):
        ratio(turns(1, 2), turns(1))


def test_best_is_the_fastest_of_each_round() -> None:
    assert [s.rate for s in best([turns(1, 5), turns(3, 2)])] == [3, 5]


@pytest.mark.parametrize(
    ("least", "word"),
    [(1.5, "met"), (2.0, "met"), (2.01, "missed, within the spread"), (4.1, "missed")],
)
def test_target_is_judged_by_the_median(least: float, word: str) -> None:
    samples = {"a": turns(10, 20, 30), "b": turns(40, 10, 10), "c": turns(20, 5, 20)}
    judged = Target("a or b / c", ("a", "b", "gone"), ("c",), least).judge(samples)
    assert judged is not None
    assert judged[:2] == (Spread(2, 1.5, 4), word)


def test_target_without_its_contender_is_open() -> None:
    assert Target("a / c", ("a",), ("c",), 1).judge({"a": turns(1)}) is None


def test_table_is_markdown() -> None:
    assert table(["a", "b"], [["1", "2"]]) == "| a | b |\n| --- | --- |\n| 1 | 2 |"


def test_csv_has_a_line_per_turn(tmp_path: Path) -> None:
    write_csv(tmp_path / "x.csv", {"original": {"a": turns(10, 20)}})
    with open(tmp_path / "x.csv", newline="") as file:
        rows = list(csv.DictReader(file))
    assert [(r["contender"], r["round"], r["photos"]) for r in rows] == [
        ("a", "1", "20"),
        ("a", "2", "40"),
    ]


def test_bars_are_a_picture(tmp_path: Path) -> None:
    panel = {"a": turns(10, 20), "bound_full": turns(30)}
    titles = {"a": "ours", "bound_full": "bound"}
    draw_bars(tmp_path / "x.png", {"one": panel, "two": panel}, titles, ["a"])
    assert (tmp_path / "x.png").read_bytes().startswith(b"\x89PNG")
