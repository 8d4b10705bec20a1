"""Optuna's samplers and pruners, as the options name them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import optuna
from optuna.trial import FrozenTrial, TrialState

from glr_fast.tune_options import PrunerName, SamplerName
from glr_fast.tuning.space import Dimension


class Grid(optuna.samplers.GridSampler):
    """Trial n tries point n of the grid, in one order for all workers."""

    def after_trial(
        self,
        study: optuna.Study,
        trial: FrozenTrial,
        state: TrialState,
        values: Sequence[float] | None,
    ) -> None:
        """Nothing: Optuna's own would stop ``study.optimize``, which is not in use."""


def sampler_for(
    name: SamplerName, space: Sequence[Dimension], total: int, seed: int, number: int
) -> optuna.samplers.BaseSampler:
    """The sampler of one trial.

    Args:
        name: which.
        space: what is searched.
        total: trials in all; the first third, at most 10, are random.
        seed: of the study.
        number: of the trial.
    """
    own = int(np.random.SeedSequence((seed, number)).generate_state(1)[0])
    random_first = min(10, max(2, total // 3))
    if name == "grid":
        points: dict[str, Any] = {dimension.flag: dimension.points() for dimension in space}
        return Grid(points, seed=0)  # the order is part of the study
    if name == "gp":
        return optuna.samplers.GPSampler(seed=own, n_startup_trials=random_first)
    if name == "tpe":
        return optuna.samplers.TPESampler(seed=own, n_startup_trials=random_first)
    return optuna.samplers.RandomSampler(seed=own)


def pruner_for(name: PrunerName, total: int, evaluations: int) -> optuna.pruners.BasePruner:
    """The pruner of a study; ``evaluations`` is how many a whole trial has."""
    if name == "hyperband":
        return optuna.pruners.HyperbandPruner(1, max(1, evaluations))
    if name == "median":
        startup = min(5, max(2, total // 4))
        # Optuna counts steps from 0, evaluations count from 1: the first gives up nobody.
        return optuna.pruners.MedianPruner(n_startup_trials=startup, n_warmup_steps=2)
    return optuna.pruners.NopPruner()
