"""Which worker runs which trial: one that lies unfinished, else a new one.

A claim is a lock on a file of the trial, held by the worker and by the process that trains for it.
No clock is involved: a worker that is merely slow or stopped keeps its claim, one that is dead has
lost it. The order (lock the study, look, take, unlock) leaves no moment at which a worker's death
loses a trial or lets two run it.
"""

from __future__ import annotations

import fcntl
from collections.abc import Callable
from dataclasses import dataclass
from io import TextIOWrapper
from pathlib import Path

import optuna
from optuna.trial import Trial, TrialState

from glr_fast.tuning.storage import locked


@dataclass
class Claim:
    """A trial that this worker may run, until it is released or the worker dies."""

    trial: Trial
    """Optuna's handle of it."""
    resumed: bool
    """Whether another worker began it."""
    lock: TextIOWrapper
    """The open file that holds the lock."""

    def __enter__(self) -> Claim:
        return self

    def __exit__(self, *_: object) -> None:
        self.lock.close()


SamplerOf = Callable[[int], optuna.samplers.BaseSampler]


def claim(study: optuna.Study, folder: Path, total: int, sampler_of: SamplerOf) -> Claim | None:
    """Take a trial to run; None when all are finished or run by others.

    Args:
        study: the study.
        folder: its folder.
        total: trials in all.
        sampler_of: the sampler for a trial's number. Each trial has its own, seeded by the number:
            a worker that starts again would otherwise draw the same numbers again.
    """
    with locked(folder):
        trials = study.get_trials(deepcopy=False)
        for frozen in trials:
            if frozen.state == TrialState.RUNNING:
                lock = _try(folder, frozen.number)
                if lock is not None:
                    study.sampler = sampler_of(frozen.number)
                    return Claim(Trial(study, frozen._trial_id), True, lock)
        if len(trials) >= total:
            return None
        study.sampler = sampler_of(len(trials))
        trial = study.ask()
        lock = _try(folder, trial.number)
        assert lock is not None, "the study is locked, so nobody else can know of this trial"
        return Claim(trial, False, lock)


def trial_folder(folder: Path, number: int) -> Path:
    """The run folder of a trial."""
    return folder / "trials" / f"{number:04d}"


def _try(folder: Path, number: int) -> TextIOWrapper | None:
    """The open lock file of a trial, or None where another worker holds it."""
    file = folder / "locks" / f"{number:04d}"
    file.parent.mkdir(exist_ok=True)
    opened = open(file, "a")  # noqa: SIM115  # open as long as the claim lasts
    try:
        fcntl.flock(opened, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        opened.close()
        return None
    return opened
