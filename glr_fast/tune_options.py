"""The options of a search for hyperparameters (``launch/tune.py``)."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Literal

from tyro.conf import UseAppendAction, arg

from glr_fast.errors import require

SamplerName = Literal["tpe", "gp", "grid", "random"]

PrunerName = Literal["median", "hyperband", "none"]


@dataclass(frozen=True)
class TuneOptions:
    """Search for the options that give the best validation figure."""

    search: UseAppendAction[Annotated[tuple[str, ...], arg(metavar="NAME=VALUES")]] = ()
    """An option of the training and what to try: ``optim.lr=log:1e-4:1e-2`` (logarithmic),
    ``loss.label-smoothing=0:0.2`` or ``0:0.2:0.05`` (steps of 0.05), ``loss.name=ce,ldam`` (values;
    joined by ``|`` where they hold commas). Give it once for each option."""
    out: Path = Path("runs/study")
    """Study folder: a run folder for each trial, best.json, study.html. The same command again
    continues the study, also while it is running: then another worker joins."""
    trials: int | None = None
    """Trials in all, over all workers; None takes 20, or every point of the grid."""
    sampler: SamplerName = "tpe"
    """How the next trial is chosen: tpe (tree-structured Parzen estimator), gp (Gaussian process),
    grid (each combination once) or random."""
    pruner: PrunerName = "median"
    """When a trial is given up: median (worse than the median of the others at the same age),
    hyperband, or none."""
    storage: str | None = None
    """Database of the trials, such as postgresql+psycopg://USER@HOST/NAME; None takes an SQLite
    file in the study folder."""
    name: str | None = None
    """Name of the study in the database; None takes that of the study folder."""

    def __post_init__(self) -> None:
        trials = self.trials
        require(trials is None or trials >= 1, "--trials", "1 or more", trials)
        require(str(self.out) not in ("", "."), "--out", "a folder for the study", self.out)
