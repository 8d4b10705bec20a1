"""Runs a study as one of its workers, and writes what it has found."""

from __future__ import annotations

import json
import logging
import warnings
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import optuna
from optuna.trial import TrialState

from glr_fast.config import Config
from glr_fast.data import Store, StoreError
from glr_fast.errors import ConfigError
from glr_fast.models import check_name
from glr_fast.tune_options import TuneOptions
from glr_fast.tuning.claims import trial_folder
from glr_fast.tuning.page import render
from glr_fast.tuning.samplers import pruner_for, sampler_for
from glr_fast.tuning.space import Dimension, grid_size, parse_space, searched, with_values
from glr_fast.tuning.storage import database_errors, database_url, locked, open_study
from glr_fast.tuning.trial_run import run_trial
from glr_fast.tuning.worker import RunTrial, Worker, best_of
from glr_fast.whole_files import write_atomically

BEST = "best.json"
PAGE = "study.html"
TRIALS = 20


@dataclass(frozen=True)
class Study:
    """What a study has found so far."""

    folder: Path
    """The study folder."""
    monitor: str
    """The validation figure that is searched for, such as ``macro_f1``."""
    finished: int
    """Trials that ended, however they did."""
    pruned: int
    """Of these, given up early."""
    failed: int
    """Of these, failed."""
    running: int
    """Trials that other workers still run."""
    best: int | None
    """Number of the best trial; None where none has finished."""
    value: float | None
    """Its figure."""
    params: dict[str, Any]
    """Its options that were searched, by flag."""
    config: Config | None
    """All of its options, those of ``best.json``."""

    @property
    def run(self) -> Path | None:
        """The run folder of the best trial."""
        return None if self.best is None else trial_folder(self.folder, self.best)


def tune(options: TuneOptions, config: Config, run: RunTrial = run_trial) -> Study:
    """Search for the training options with the best validation figure (``--run.monitor``).

    Works on the study of ``options.out`` until no trial is left to begin or to continue, together
    with any other worker of it. The figure of a trial is the best of its evaluations, that of its
    ``best/`` weights. Writes ``best.json`` and ``study.html``.

    Args:
        options: what to search, how, and where the study is kept.
        config: all options that are not searched; ``out`` and ``resume`` are ignored.
        run: runs one trial (tests put something quicker here).

    Raises:
        ConfigError: bad options, a folder or a database that cannot be used, or a study of
            something else.
        StoreError: no such store.
        TrainingError: the first trials all failed.
        KeyboardInterrupt: stopped; the same call continues.
    """
    space = parse_space(options.search, config)
    total = _total(options, space)
    _check(config, space)
    identity = _identity(options, config, space)
    url = database_url(options.out, options.storage)
    _make(options.out)
    with _quiet():
        with locked(options.out):
            study = open_study(options.out, url, options.name, identity)
        study.pruner = pruner_for(options.pruner, total, _evaluations(config, space))
        worker = Worker(
            study=study,
            folder=options.out,
            space=space,
            base=config,
            total=total,
            sampler_of=lambda number: sampler_for(
                options.sampler, space, total, config.seed, number
            ),
            run_trial=run,
        )
        with database_errors(url):
            try:
                worker.work()
            except KeyboardInterrupt:
                _write(study, options.out, config)
                raise KeyboardInterrupt(
                    f"{options.out} keeps every trial; continue with the same command"
                ) from None
            return _write(study, options.out, config)


def _write(study: optuna.Study, folder: Path, base: Config) -> Study:
    """Write ``best.json`` and ``study.html``; what they say."""
    with locked(folder):  # workers that end together would write the same temporary file
        trials = study.get_trials(deepcopy=False)
        best = best_of(study)
        config = with_values(replace(base, resume=False), best.params) if best else None
        if config is not None:
            write_atomically(folder / BEST, config.to_json())
        render(study, folder / PAGE, base.run.monitor)
    count = Counter(trial.state for trial in trials)
    return Study(
        folder=folder,
        monitor=base.run.monitor,
        finished=sum(trial.state.is_finished() for trial in trials),
        pruned=count[TrialState.PRUNED],
        failed=count[TrialState.FAIL],
        running=count[TrialState.RUNNING],
        best=best.number if best else None,
        value=best.value if best else None,
        params=dict(best.params) if best else {},
        config=config,
    )


def _total(options: TuneOptions, space: tuple[Dimension, ...]) -> int:
    if options.sampler != "grid":
        return options.trials or TRIALS
    points = grid_size(space)
    return min(points, options.trials or points)


def _check(config: Config, space: tuple[Dimension, ...]) -> None:
    """What would make every trial fail is said before the first one."""
    if config.run.eval_every == 0:
        raise ConfigError("--run.eval-every 0: a search needs validation figures; leave it at 1")
    if not Store.open(config.data.store).split_rows("val"):
        raise StoreError(f"{config.data.store}: has no photos in val, so trials have no figures")
    for dimension in space:
        if dimension.flag == "model.name":
            for name in dimension.values or ():
                check_name(name)
    check_name(config.model.name)


def _identity(options: TuneOptions, config: Config, space: tuple[Dimension, ...]) -> dict[str, Any]:
    """What all workers of a study must agree on, as JSON knows it."""
    fixed = searched(config)
    for dimension in space:
        del fixed[dimension.flag]
    shown = {f"--{flag}": value for flag, value in fixed.items()}
    shown |= {f"--search {d.flag}": _plain(d) for d in space}
    shown |= {"--search of": ", ".join(d.flag for d in space), "--sampler": options.sampler}
    return json.loads(json.dumps(shown))


def _plain(dimension: Dimension) -> str:
    if dimension.values is not None:
        return ", ".join(map(str, dimension.values))
    values = {k: v for k, v in asdict(dimension).items() if k in ("low", "high", "step", "log")}
    return ", ".join(f"{name} {value}" for name, value in values.items())


def _evaluations(config: Config, space: tuple[Dimension, ...]) -> int:
    """Evaluations of the longest trial."""
    searched = [d for d in space if d.flag == "optim.epochs"]
    epochs = [float(max(d.values or (d.high,))) for d in searched] or [float(config.optim.epochs)]
    return max(1, round(epochs[0] / config.run.eval_every))


def _make(folder: Path) -> None:
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise ConfigError(f"--out {folder}: cannot be made ({error.strerror})") from None


@contextmanager
def _quiet() -> Iterator[None]:
    """Without Optuna's log lines and its notes on what is experimental: the worker speaks."""
    before = optuna.logging.get_verbosity()
    optuna.logging.set_verbosity(logging.ERROR)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", optuna.exceptions.ExperimentalWarning)
            warnings.simplefilter("ignore", UserWarning)
            yield
    finally:
        optuna.logging.set_verbosity(before)
