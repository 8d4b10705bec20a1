"""Electing the best run: by validation only, with a clear word where it is missing."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from glr_fast.compare import as_table, elect, read_evaluations
from glr_fast.errors import ConfigError


def write(run: Path, split: str, accuracy: float, macro_f1: float) -> None:
    folder = run / f"eval-{split}"
    folder.mkdir(parents=True)
    figures = {"model": "resnet50", "splits": split.split("-"), "photos": 50, "classes": 10}
    figures |= {"accuracy": accuracy, "top5_accuracy": 0.9, "macro_f1": macro_f1}
    (folder / "metrics.json").write_text(json.dumps(figures))


def test_validation_elects_even_where_the_test_split_says_otherwise(tmp_path: Path) -> None:
    first, second = tmp_path / "first", tmp_path / "second"
    write(first, "val", 0.70, 0.60)
    write(first, "test", 0.60, 0.50)
    write(second, "val", 0.72, 0.58)
    write(second, "test", 0.80, 0.79)
    found = [*read_evaluations(first), *read_evaluations(second)]
    assert elect(found).run == first
    assert elect(found, "accuracy").run == second
    table = as_table(found).splitlines()
    assert len(table) == 6
    assert "8.0 x" in table[4]  # accuracy 0.80 over a chance of 1 in 10
    assert len({len(line) for line in table}) == 1


def test_a_run_that_was_not_evaluated_is_named(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="no evaluation"):
        read_evaluations(tmp_path)
    write(tmp_path / "run", "test", 0.5, 0.5)
    with pytest.raises(ConfigError, match=r"run: not evaluated on the validation split"):
        elect(read_evaluations(tmp_path / "run"))
