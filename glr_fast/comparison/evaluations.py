"""The evaluations of runs that are compared, and whether they can be.

Reads what ``launch/evaluate.py`` wrote into ``RUN/eval-SPLITS/``: ``metrics.json`` and
``predictions.parquet``.
"""

from __future__ import annotations

import json
import shlex
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from glr_fast.errors import ConfigError

VAL = ("val",)
COLUMNS = ("key", "split", "label", "landmark_id", "top_labels", "top_probabilities", "loss")


@dataclass(frozen=True)
class Evaluation:
    """One evaluation of one run."""

    run: Path
    """The run folder."""
    folder: Path
    """Where the evaluation is, such as ``RUN/eval-val``."""
    splits: tuple[str, ...]
    """The splits evaluated together."""
    figures: dict[str, Any]
    """Those of ``metrics.json``."""

    def predictions(self) -> pa.Table:
        """The predictions table, in the order of splits and keys.

        Raises:
            ConfigError: missing, damaged or of another version.
        """
        file = self.folder / "predictions.parquet"
        try:
            return pq.read_table(file, columns=list(COLUMNS)).sort_by(
                [("split", "ascending"), ("key", "ascending")]
            )
        except (OSError, ValueError, KeyError, pa.ArrowException) as error:
            reason = " ".join(str(error).split())[:200]
            raise ConfigError(
                f"{file}: not a predictions table of this version ({reason}); {self.again()}"
            ) from None

    def again(self) -> str:
        """The command that evaluates the run on these splits."""
        run = shlex.quote(str(self.run))
        return f"run glr-evaluate --run {run} --split {','.join(self.splits)}"


def read_evaluations(run: Path) -> list[Evaluation]:
    """Every evaluation of a run.

    Raises:
        ConfigError: none there, or one that cannot be read.
    """
    if not run.is_dir():
        raise ConfigError(f"{run}: no such run folder")
    files = sorted(run.glob("eval-*/metrics.json"))
    if not files:
        raise ConfigError(
            f"{run}: no evaluation (eval-*/metrics.json); run glr-evaluate --run "
            f"{shlex.quote(str(run))} first"
        )
    evaluations = []
    for file in files:
        try:
            figures = json.loads(file.read_text())
            evaluations.append(Evaluation(run, file.parent, tuple(figures["splits"]), figures))
        except (OSError, ValueError, KeyError, TypeError):
            raise ConfigError(
                f"{file}: not the figures of an evaluation of this version; "
                f"run glr-evaluate --run {shlex.quote(str(run))} again"
            ) from None
    return evaluations


def on_validation(evaluations: Sequence[Evaluation]) -> dict[Path, Evaluation]:
    """The evaluation of each run on the validation split.

    Only validation elects: electing by the test split would make its figures too good.

    Raises:
        ConfigError: a run has not been evaluated on it.
    """
    # Where a run has several, the one that is called so: it comes last, and stays.
    called = sorted(evaluations, key=lambda e: e.folder.name == "eval-val")
    on_val = {e.run: e for e in called if e.splits == VAL}
    missing = {e.run for e in evaluations} - set(on_val)
    if missing:
        run = min(missing)
        raise ConfigError(
            f"{run}: not evaluated on the validation split; "
            f"run glr-evaluate --run {shlex.quote(str(run))} --split val"
        )
    return on_val


def check_same_photos(evaluations: Sequence[Evaluation]) -> list[pa.Table]:
    """The predictions of evaluations of the same photos of the same store, row by row the same.

    Raises:
        ConfigError: other stores, other photos, or other classes of them.
    """
    first = evaluations[0]
    for other in evaluations:
        if not other.figures.get("store_digest"):
            raise ConfigError(f"{other.folder}: of an earlier version; {other.again()}")
        if other.figures.get("trained_on"):
            raise ConfigError(
                f"{other.folder}: {other.figures['trained_on']:,} of its photos were trained on "
                f"(the run's own store has them in train), so its figures are too good; evaluate "
                "on a store whose photos no run has learnt"
            )
        if other.figures["store_digest"] != first.figures["store_digest"]:
            raise ConfigError(
                f"{first.run} and {other.run} were evaluated on different stores "
                f"({first.figures.get('store')} and {other.figures.get('store')}): their figures "
                "cannot be compared; evaluate both on one store"
            )
    tables = [evaluation.predictions() for evaluation in evaluations]
    for other, table in zip(evaluations, tables, strict=True):
        for name in ("key", "split", "landmark_id"):
            if not table[name].equals(tables[0][name]):
                raise ConfigError(
                    f"{first.folder} and {other.folder} are not of the same photos (other "
                    f"{name}s in predictions.parquet); evaluate both anew"
                )
        if not np.array_equal(_known(table), _known(tables[0])):
            raise ConfigError(
                f"{first.run} and {other.run} know different classes of the evaluated photos: "
                "their figures cannot be compared; evaluate on a store of classes that both know"
            )
    return tables


def _known(table: pa.Table) -> np.ndarray:
    return table["label"].to_numpy() >= 0
