"""Runs the training of one trial in a process, watches its validation figures, and prunes it."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

from glr_fast.config import Config
from glr_fast.logbook import METRICS
from glr_fast.tuning.claims import Claim
from glr_fast.whole_files import write_atomically

LOG = "train.log"
OPTIONS = "trial.json"
POLL = 0.5
"""Seconds between looks at the figures of a running trial."""
GRACE = 30
"""Seconds that a training has to stop."""
STOPPED = (-signal.SIGINT, -signal.SIGTERM, -signal.SIGHUP, 130)
"""Exit codes of a training that somebody stopped."""


@dataclass(frozen=True)
class Outcome:
    """How a trial ended."""

    value: float | None = None
    """Best validation figure of a training that finished."""
    pruned: bool = False
    """Whether it was given up."""
    reason: str = ""
    """Why it failed, where it did."""


def run_trial(claim: Claim, config: Config, folder: Path, tick: Callable[[], None]) -> Outcome:
    """Train, from the newest checkpoint where there is one.

    Args:
        claim: the trial; its lock is handed on to the training.
        config: what to train.
        folder: the trial's run folder.
        tick: called twice a second.

    Raises:
        KeyboardInterrupt: the training was stopped from outside; the trial goes on another time.
    """
    folder.mkdir(parents=True, exist_ok=True)
    write_atomically(folder / OPTIONS, replace(config, out=folder).to_json())
    figures = Figures(folder / METRICS, f"val/{config.run.monitor}")
    for last_try in (False, True):
        code = _train_once(claim, folder, figures, tick)
        if code is None:
            return Outcome(pruned=True)
        if code == 0:
            if not figures.values:
                return Outcome(reason="the training evaluated nothing")
            return Outcome(max(figures.values))
        if code in STOPPED:
            raise KeyboardInterrupt("a training was stopped")
        if code > 0:
            break
        if last_try:
            name = signal.Signals(-code).name
            more = "; out of memory?" if code == -signal.SIGKILL else ""
            return Outcome(reason=f"the training was killed twice ({name}{more})")
    return Outcome(reason=_last_words(folder / LOG))


def _train_once(
    claim: Claim, folder: Path, figures: Figures, tick: Callable[[], None]
) -> int | None:
    """The exit code of a training, or None for one that was pruned."""
    flags = ["--config", str(folder / OPTIONS), "--out", str(folder), "--resume"]
    command = [sys.executable, "-m", "glr_fast.tuning.trial_process", *flags]
    with open(folder / LOG, "a") as log:
        process = subprocess.Popen(
            command,
            stdin=subprocess.PIPE,  # closes when this worker dies, and the training ends with it
            stdout=log,
            stderr=log,
            pass_fds=[claim.lock.fileno()],
            start_new_session=True,  # an interrupt in the terminal is the worker's to hand on
        )
    try:
        while process.poll() is None:
            time.sleep(POLL)
            if report(claim, figures):
                _stop(process)
                return None
            tick()
        report(claim, figures)
        return process.returncode
    finally:
        _stop(process)
        if process.stdin:
            process.stdin.close()


def report(claim: Claim, figures: Figures) -> bool:
    """Tell Optuna the new figures of a trial; whether it says to give up.

    The step of a figure is its place among the evaluations: 1, 2, ... So trials with other batch
    sizes are compared at the same age in epochs.
    """
    trial = claim.trial
    known = trial.study._storage.get_trial(trial._trial_id).intermediate_values
    for step, value in enumerate(figures.read(), start=1):
        if step not in known:
            trial.report(value, step)
            if trial.should_prune():
                return True
    return False


class Figures:
    """The validation figures of a run, oldest first, as far as they are written."""

    def __init__(self, file: Path, name: str) -> None:
        self._file, self._name = file, name
        self.values: list[float] = []

    def read(self) -> list[float]:
        """All figures so far."""
        values = []
        lines = self._file.read_text().splitlines() if self._file.is_file() else []
        for line in lines:
            try:
                figures = json.loads(line)
            except ValueError:  # being written
                continue
            if self._name in figures:
                values.append(float(figures[self._name]))
        self.values = values
        return values


def _stop(process: subprocess.Popen) -> None:
    """End a training that still runs: as an interrupt would, and after a while by force."""
    if process.poll() is not None:
        return
    process.send_signal(signal.SIGINT)
    try:
        process.wait(GRACE)
    except (subprocess.TimeoutExpired, KeyboardInterrupt):
        process.kill()
        process.wait()


def _last_words(log: Path) -> str:
    """The error in a log, or its last line."""
    lines = [line for line in log.read_text(errors="replace").splitlines() if line.strip()]
    errors = [line.removeprefix("error: ") for line in lines if line.startswith("error: ")]
    return (errors or lines or ["no reason was given"])[-1][:500]
