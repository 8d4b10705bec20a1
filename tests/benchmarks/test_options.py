"""The page about training options: pairs of one seed, and only of seeds that all cases have."""

from __future__ import annotations

from pathlib import Path

from benchmarks.bench_options import TITLES, Row, changed, page, rows_of
from benchmarks.kept_rows import add_row
from glr_fast.config import Config


def test_the_page_compares_pairs_of_one_seed(tmp_path: Path) -> None:
    file = tmp_path / "runs.csv"
    for seed, plain in ((0, 0.80), (1, 0.70)):
        for case in TITLES:
            gain = 0.02 if case == "ema" else 0.0
            slower = 2 if case == "cutmix" else 1
            add_row(file, Row(case, seed, plain + gain + gain * seed, 0.5, 10.0 * slower))
    add_row(file, Row("plain", 2, 0.0, 0.0, 900.0))
    text = page(rows_of(file), 12, 6000, "here")
    assert "| none | 75.00% | 0.500 |  | 10 s | 600 |  |" in text
    assert "| `--optim.ema 0.98` | 78.00% | 0.500 | 3.0 (2.0 to 4.0) | 10 s | 600 | 1.00" in text
    assert "| 20 s | 300 | 0.50 (0.50 to 0.50) |" in text


def test_each_case_changes_one_thing() -> None:
    assert changed(Config(), "plain") == Config()
    found = [changed(Config(), case) for case in TITLES]
    assert len({config.to_json() for config in found}) == len(TITLES)
