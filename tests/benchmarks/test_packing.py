"""The page about packings: pairs of one seed, and nothing of a pair that is not whole."""

from __future__ import annotations

from pathlib import Path

from benchmarks.bench_packing import Row, page, rows_of
from benchmarks.kept_rows import add_row


def test_the_page_compares_pairs_of_one_seed(tmp_path: Path) -> None:
    file = tmp_path / "runs.csv"
    for row in (
        Row("original", 0, 0.80, 0.70, 100.0),
        Row("short256", 0, 0.79, 0.71, 50.0),
        Row("short256", 1, 0.85, 0.80, 60.0),
        Row("original", 1, 0.83, 0.77, 100.0),
        Row("original", 2, 0.10, 0.10, 900.0),  # its pair has not been run
    ):
        add_row(file, row)
    text = page(rows_of(file), {"original": 98_000 * 10, "short256": 37_000 * 10}, 10, 6)
    assert "| the photos' own bytes | 98 kB | 81.50% | 0.735 | 100 s |" in text
    assert "| short side 256 | 37 kB | 82.00% | 0.755 | 55 s |" in text
    assert "accuracy 0.5 (-1.0 to 2.0) percentage points" in text
    assert "macro F1 0.020 (0.010 to 0.030)" in text
    assert "0.55 (0.50 to 0.60)" in text
