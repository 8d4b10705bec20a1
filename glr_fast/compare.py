"""Compares evaluated runs and elects the best by a validation figure.

Reads what launch/evaluate.py wrote: ``RUN/eval-<splits>/metrics.json``.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from glr_fast.config import Monitor
from glr_fast.errors import ConfigError


@dataclass(frozen=True)
class Evaluation:
    """One evaluation of one run."""

    run: Path
    splits: tuple[str, ...]
    figures: dict[str, Any]

    def line(self) -> tuple[str, ...]:
        """The cells of its line in the table."""
        figures, chance = self.figures, 1 / self.figures["classes"]
        return (
            str(self.run),
            figures["model"],
            "+".join(self.splits),
            str(figures["photos"]),
            f"{figures['accuracy']:.2%}",
            f"{figures['accuracy'] / chance:.1f} x",
            f"{figures['top5_accuracy']:.2%}",
            f"{figures['macro_f1']:.4f}",
        )


HEADER = ("run", "model", "split", "photos", "accuracy", "of chance", "top-5", "macro F1")


def read_evaluations(run: Path) -> list[Evaluation]:
    """Every evaluation of a run.

    Raises:
        ConfigError: none there.
    """
    files = sorted(run.glob("eval-*/metrics.json"))
    if not files:
        raise ConfigError(
            f"{run}: no evaluation (eval-*/metrics.json); run launch/evaluate.py --run {run} first"
        )
    evaluations = []
    for file in files:
        figures = json.loads(file.read_text())
        evaluations.append(Evaluation(run, tuple(figures["splits"]), figures))
    return evaluations


def elect(evaluations: Sequence[Evaluation], by: Monitor = "macro_f1") -> Evaluation:
    """The evaluation on the validation split with the largest figure.

    Only validation counts: electing by the test split would make its figures too good.

    Raises:
        ConfigError: a run has not been evaluated on the validation split.
    """
    on_val = {e.run: e for e in evaluations if e.splits == ("val",)}
    missing = {e.run for e in evaluations} - set(on_val)
    if missing:
        run = min(missing)
        raise ConfigError(
            f"{run}: not evaluated on the validation split; "
            f"run launch/evaluate.py --run {run} --split val"
        )
    return max(on_val.values(), key=lambda e: e.figures[by])


def as_table(evaluations: Sequence[Evaluation]) -> str:
    """The evaluations as a table of text, one line each."""
    lines = [HEADER, *(e.line() for e in evaluations)]
    widths = [max(len(line[i]) for line in lines) for i in range(len(HEADER))]
    aligned = [
        "  ".join(
            cell.ljust(width) if i < 3 else cell.rjust(width)
            for i, (cell, width) in enumerate(zip(line, widths, strict=True))
        )
        for line in lines
    ]
    return "\n".join([aligned[0], "-" * len(aligned[0]), *aligned[1:]])
