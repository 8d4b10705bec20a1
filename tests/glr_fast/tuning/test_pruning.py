"""Trials that are given up early: the bad ones, not the good ones, and none where none shall be."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import optuna
import pytest
from optuna.trial import TrialState

from glr_fast.config import Config, DataConfig
from glr_fast.logbook import METRICS
from glr_fast.tune_options import PrunerName, TuneOptions
from glr_fast.tuning import Study, tune
from glr_fast.tuning.claims import Claim
from glr_fast.tuning.trial_run import Figures, Outcome, report

EPOCHS = 9
RATES = [round(0.01 * number, 2) for number in range(1, 13)]


def course(rate: float, epoch: int) -> float:
    """A validation figure that grows with the epochs; best where the rate is 0.05."""
    return (1 - 10 * abs(rate - 0.05)) * epoch / EPOCHS


def train(claim: Claim, config: Config, folder: Path, tick: Callable[[], None]) -> Outcome:
    """A training that writes its log as a real one does, and stops when it is told to."""
    folder.mkdir(parents=True, exist_ok=True)
    figures = Figures(folder / METRICS, "val/macro_f1")
    for epoch in range(1, EPOCHS + 1):
        with open(folder / METRICS, "a") as log:
            value = course(config.optim.lr, epoch)
            log.write(json.dumps({"step": epoch, "train/loss": 1.0}) + "\n")
            log.write(json.dumps({"step": epoch, "val/macro_f1": value}) + "\n")
        if report(claim, figures):
            return Outcome(pruned=True)
    return Outcome(max(figures.values))


def studied(store: Path, folder: Path, pruner: PrunerName) -> tuple[Study, optuna.Study]:
    base = Config(data=DataConfig(store=store))
    base = replace(base, optim=replace(base.optim, epochs=EPOCHS))
    searched = ",".join(map(str, RATES))
    options = TuneOptions((f"optim.lr={searched}",), folder, sampler="grid", pruner=pruner)
    found = tune(options, base, train)
    study = optuna.load_study(study_name=folder.name, storage=f"sqlite:///{folder}/study.db")
    return found, study


def epochs_of(study: optuna.Study) -> int:
    return sum(len(trial.intermediate_values) for trial in study.trials)


@pytest.mark.parametrize("pruner", ["median", "hyperband"])
def test_bad_trials_are_given_up_and_the_best_is_not(
    pruner: PrunerName, store: Path, tmp_path: Path
) -> None:
    found, study = studied(store, tmp_path / "study", pruner)
    pruned = [trial for trial in study.trials if trial.state == TrialState.PRUNED]
    assert found.pruned == len(pruned) >= 2
    assert found.finished == len(RATES)
    assert found.params["optim.lr"] == 0.05
    assert found.value == pytest.approx(course(0.05, EPOCHS))
    assert all(trial.params["optim.lr"] != 0.05 for trial in pruned)
    assert epochs_of(study) < len(RATES) * EPOCHS  # so time was saved
    page = (tmp_path / "study" / "study.html").read_text()
    assert page.count(">pruned<") == len(pruned)


def test_the_median_is_that_of_trials_of_the_same_age(store: Path, tmp_path: Path) -> None:
    """Each was worse, when it was given up, than half of those that had come so far."""
    _, study = studied(store, tmp_path / "study", "median")
    for trial in study.trials:
        if trial.state == TrialState.PRUNED:
            age = max(trial.intermediate_values)
            assert age > 1  # after the first evaluation nobody is given up
            earlier = [
                max(v for step, v in other.intermediate_values.items() if step <= age)
                for other in study.trials[: trial.number]
                if other.state == TrialState.COMPLETE
            ]
            assert sum(value > trial.intermediate_values[age] for value in earlier) >= (
                len(earlier) / 2
            )


def test_none_gives_up_none(store: Path, tmp_path: Path) -> None:
    found, study = studied(store, tmp_path / "study", "none")
    assert found.pruned == 0
    assert epochs_of(study) == len(RATES) * EPOCHS
