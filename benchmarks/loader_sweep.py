"""The settings that suit each contender best, found one after the other on the machine itself.

Batch size first, then workers, then what else a contender has: each axis is tried with the best of
the axes before it, every trial once, for a second or so. What is found holds for this machine only.
"""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from benchmarks.harness import PeerError, Worker
from benchmarks.peers import Job
from benchmarks.samples import table

SHORT = {"batch_size": "batch", "workers": "workers", "prefetch": "ahead", "shuffle": "shuffle"}


@dataclass(frozen=True)
class Trial:
    """Settings that were tried, and what came of them."""

    settings: dict[str, int]
    rate: float
    """Photos per second."""


def climb(
    axes: Mapping[str, Sequence[int]], rate: Callable[[dict[str, int]], float]
) -> list[Trial]:
    """Try the values of one axis after the other, each with the best of those before.

    Args:
        axes: values by name; of the axes still to come, the first value holds.
        rate: measures settings. A :class:`PeerError` ends the sweep with what there is.

    Returns:
        The trials, in their order; the fastest is what was sought. None twice.
    """
    settings = {name: values[0] for name, values in axes.items()}
    trials: list[Trial] = []
    for name, values in axes.items():
        for value in values:
            wanted = settings | {name: value}
            if any(trial.settings == wanted for trial in trials):
                continue
            try:
                trials.append(Trial(wanted, rate(wanted)))
            except PeerError:
                return trials
        settings = best(trials)
    return trials


def best(trials: Sequence[Trial]) -> dict[str, int]:
    """The settings of the fastest."""
    return max(trials, key=lambda trial: trial.rate).settings if trials else {}


@dataclass
class Sweeps:
    """The trials of the contenders on one store, kept in a file from run to run."""

    path: Path
    trials: dict[str, list[Trial]]
    titles: dict[str, str]
    missing: dict[str, str]
    """Contenders that did not start, and why."""

    @classmethod
    def open(cls, path: Path) -> Sweeps:
        """What the file holds; nothing where there is none."""
        if not path.exists():
            return cls(path, {}, {}, {})
        held = json.loads(path.read_text())
        trials = {name: [Trial(**each) for each in held["trials"][name]] for name in held["trials"]}
        return cls(path, trials, held["titles"], held["missing"])

    def sweep(self, name: str, job: Job, python: Path, seconds: float) -> None:
        """Sweep one contender, unless that is done; write the file."""
        if name in self.trials or name in self.missing:
            return
        try:
            with Worker(name, job, python) as worker:
                self.titles[name] = worker.ready.title
                self.trials[name] = climb(
                    worker.ready.axes, lambda wanted: worker.measure(seconds, wanted).rate
                )
        except PeerError as error:
            self.missing[name] = str(error)
        self.write()

    def job(self, name: str, job: Job) -> Job:
        """A contender's job with its best settings."""
        return dataclasses.replace(job, **best(self.trials.get(name, [])))

    def write(self) -> None:
        """Write the file, whole or not at all."""
        held = dataclasses.asdict(self)
        del held["path"]
        part = self.path.with_suffix(".part")
        part.write_text(json.dumps(held, indent=1))
        part.replace(self.path)

    def section(self) -> str:
        """The table of all trials: a row for each contender, the best in bold."""
        rows = []
        for name, trials in self.trials.items():
            chosen = best(trials)
            said = [
                f"{'**' if trial.settings == chosen else ''}{_words(trial.settings)}: "
                f"{trial.rate:,.0f}{'**' if trial.settings == chosen else ''}"
                for trial in trials
            ]
            if said:
                rows.append([self.titles[name], "; ".join(said)])
        return table(["contender", "batch / workers / ahead (/ shuffle): photos/s"], rows)


def _words(settings: Mapping[str, int]) -> str:
    return " / ".join(str(settings[name]) for name in SHORT if name in settings)
