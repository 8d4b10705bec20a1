"""The loop of a worker: claim a trial, run it, tell the study how it ended."""

from __future__ import annotations

import shutil
import sys
import time
from collections.abc import Callable, Sequence
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import optuna
from optuna.trial import FrozenTrial, TrialState
from tqdm import tqdm

from glr_fast.config import Config
from glr_fast.errors import ConfigError, TrainingError
from glr_fast.tuning.claims import Claim, SamplerOf, claim, trial_folder
from glr_fast.tuning.space import Dimension, with_values
from glr_fast.tuning.trial_run import Outcome

REASON = "reason"
"""User attribute of a trial that failed: why."""
SAME_AS = "same_as"
"""User attribute of a trial with the options of an earlier one: that one's number."""
HOPELESS = 3
"""Trials that may fail before any succeeds."""

RunTrial = Callable[[Claim, Config, Path, Callable[[], None]], Outcome]


@dataclass(frozen=True)
class Worker:
    """What a worker needs to know."""

    study: optuna.Study
    """The study."""
    folder: Path
    """Its folder."""
    space: Sequence[Dimension]
    """What is searched."""
    base: Config
    """All other options."""
    total: int
    """Trials in all, over all workers."""
    sampler_of: SamplerOf
    """The sampler for a trial's number."""
    run_trial: RunTrial
    """Runs one."""

    def work(self) -> None:
        """Run trials until none is left to begin or to continue.

        Raises:
            TrainingError: the first trials all failed.
            KeyboardInterrupt: stopped; the trial under way goes on another time.
        """
        with closing(Progress(self.study, self.total)) as progress:
            while True:
                taken = claim(self.study, self.folder, self.total, self.sampler_of)
                if taken is None:
                    return
                with taken:
                    progress.say_begin(taken)
                    self._finish(taken, self._outcome(taken, progress))
                    progress.say_end(taken.trial.number)
                self._check_hope()

    def _outcome(self, taken: Claim, progress: Progress) -> Outcome | int:
        """How the trial ended, or the number of a finished one with the same options."""
        values = {dimension.flag: dimension.suggest(taken.trial) for dimension in self.space}
        for other in self.study.get_trials(deepcopy=False, states=(TrialState.COMPLETE,)):
            if other.params == values:  # a training is a function of its options
                return other.number
        try:
            config = with_values(self.base, values)
        except ConfigError as error:
            return Outcome(reason=str(error))
        return self.run_trial(
            taken, config, trial_folder(self.folder, taken.trial.number), progress.tick
        )

    def _finish(self, taken: Claim, outcome: Outcome | int) -> None:
        trial = taken.trial
        if isinstance(outcome, int):
            value = self.study.get_trials(deepcopy=False)[outcome].value
            trial.set_user_attr(SAME_AS, outcome)
            self.study.tell(trial.number, value)
        elif outcome.pruned:
            self.study.tell(trial.number, state=TrialState.PRUNED)
        elif outcome.value is not None:
            self.study.tell(trial.number, outcome.value)
        else:
            trial.set_user_attr(REASON, outcome.reason)
            self.study.tell(trial.number, state=TrialState.FAIL)
        # Only a trial that goes on needs them, and they are several times the size of best/.
        folder = trial_folder(self.folder, trial.number) / "checkpoints"
        shutil.rmtree(folder, ignore_errors=True)

    def _check_hope(self) -> None:
        trials = self.study.get_trials(deepcopy=False)
        failed = [trial for trial in trials if trial.state == TrialState.FAIL]
        if len(failed) >= HOPELESS and not any(_went_well(trial) for trial in trials):
            reason = failed[-1].user_attrs.get(REASON, "no reason was given")
            raise TrainingError(
                f"the first {len(failed)} trials failed, the last one with: {reason} (see "
                f"{trial_folder(self.folder, failed[-1].number) / 'train.log'})"
            )


def best_of(study: optuna.Study) -> FrozenTrial | None:
    """The best trial so far, the earliest of equal ones; None where none has finished."""
    done = study.get_trials(deepcopy=False, states=(TrialState.COMPLETE,))
    return max(done, key=lambda trial: (trial.value or 0.0, -trial.number), default=None)


def in_words(params: dict[str, Any]) -> str:
    """The options of a trial in one line."""
    return ", ".join(
        f"{flag} {value:.4g}" if isinstance(value, float) else f"{flag} {value}"
        for flag, value in params.items()
    )


class Progress:
    """What a worker says: a bar on a terminal, else a line when a trial begins and ends."""

    INTERVAL = 2.0
    """Seconds between looks at what other workers have finished."""

    def __init__(self, study: optuna.Study, total: int) -> None:
        self._study, self._total = study, total
        self._looked = 0.0
        self._bar = tqdm(
            total=total, initial=self._finished(), disable=None, unit="trial", dynamic_ncols=True
        )

    def tick(self) -> None:
        """Show what has finished, every now and then."""
        if not self._bar.disable and time.monotonic() - self._looked > self.INTERVAL:
            self._looked = time.monotonic()
            best = best_of(self._study)
            if best is not None:
                self._bar.set_postfix(best=f"{best.value:.4f}", trial=best.number, refresh=False)
            self._bar.n = self._finished()
            self._bar.refresh()

    def say_begin(self, taken: Claim) -> None:
        """A trial begins, or goes on."""
        if self._bar.disable:
            self._say(f"trial {taken.trial.number}: {'goes on' if taken.resumed else 'begins'}")

    def say_end(self, number: int) -> None:
        """A trial has ended."""
        trial = self._study.get_trials(deepcopy=False)[number]
        how = {
            TrialState.COMPLETE: f"{trial.value or 0.0:.4f}",
            TrialState.PRUNED: "pruned",
            TrialState.FAIL: f"failed: {trial.user_attrs.get(REASON)}",
        }[trial.state]
        if SAME_AS in trial.user_attrs:
            how += f", the same options as trial {trial.user_attrs[SAME_AS]}"
        best = best_of(self._study)
        best_text = f"; best {best.value:.4f} (trial {best.number})" if best else ""
        self._say(f"trial {number}: {how} ({in_words(trial.params)}){best_text}")
        self._looked = 0.0
        self.tick()

    def close(self) -> None:
        """Leave the bar as it is."""
        self._bar.close()

    def _say(self, text: str) -> None:
        if self._bar.disable:
            print(text, file=sys.stderr, flush=True)
        else:
            self._bar.write(text, file=sys.stderr)

    def _finished(self) -> int:
        trials = self._study.get_trials(deepcopy=False)
        return sum(trial.state.is_finished() for trial in trials)


def _went_well(trial: FrozenTrial) -> bool:
    return trial.state in (TrialState.COMPLETE, TrialState.PRUNED) or bool(
        trial.state == TrialState.RUNNING and trial.intermediate_values
    )
