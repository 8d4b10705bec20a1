"""Several workers, killed at any moment and started again: every trial is run, and run once."""

from __future__ import annotations

import fcntl
import multiprocessing
import os
import random
import time
from collections import Counter
from collections.abc import Callable, Iterator
from multiprocessing.process import BaseProcess
from pathlib import Path

import optuna
import pytest
from optuna.trial import TrialState

from glr_fast.config import Config, DataConfig
from glr_fast.errors import ConfigError, TrainingError
from glr_fast.tune_options import TuneOptions
from glr_fast.tuning import Study, tune
from glr_fast.tuning.claims import Claim
from glr_fast.tuning.trial_run import Outcome
from glr_fast.tuning.worker import RunTrial
from tests.helpers.postgres import running_postgres

LR = "optim.lr=log:1e-4:1e-1"
KILLS = int(os.environ.get("KILLS", "8"))
TRIALS = KILLS + 8
GRID = ("optim.lr=0.1,0.2,0.3", "loss.name=ce,ldam", "optim.epochs=2:4")


@pytest.fixture(scope="session")
def postgres() -> Iterator[str]:
    with running_postgres() as url:
        yield url


@pytest.fixture
def base(store: Path) -> Config:
    return Config(data=DataConfig(store=store))


def note(folder: Path, text: str) -> None:
    with open(folder / "notes", "a") as file:
        file.write(f"{text}\n")


def notes(folder: Path) -> list[str]:
    return (folder / "notes").read_text().splitlines()


def pretend(seconds: float) -> RunTrial:
    """A training that takes some time, is alone with its trial, and ends only once."""

    def run(claim: Claim, config: Config, folder: Path, tick: Callable[[], None]) -> Outcome:
        folder.mkdir(parents=True, exist_ok=True)
        study = folder.parents[1]
        with open(folder / "alone", "a") as alone:
            try:
                fcntl.flock(alone, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                note(study, f"clash {folder.name}")
            done = folder / "done"
            if not done.exists():
                for _ in range(3):
                    time.sleep(seconds / 3)
                    tick()
                done.touch()
                note(
                    study,
                    f"{folder.name} {config.optim.lr} {config.loss.name} {config.optim.epochs}",
                )
        return Outcome(1 / (1 + config.optim.lr))

    return run


def killed_and_restarted(options: TuneOptions, base: Config, workers: int, kills: int) -> None:
    """Workers that are killed at random moments, replaced, and then left to finish."""
    context, moments = multiprocessing.get_context("fork"), random.Random(0)

    def start() -> BaseProcess:
        process = context.Process(target=tune, args=(options, base, pretend(0.05)))
        process.start()
        return process

    processes = [start() for _ in range(workers)]
    for _ in range(kills):
        time.sleep(moments.uniform(0, 0.35))
        victim = moments.randrange(workers)
        # Not os.kill: a worker that has finished meanwhile may have been reaped.
        processes[victim].kill()
        processes[victim].join()
        processes[victim] = start()
    for process in processes:
        process.join(120)
        assert process.exitcode == 0


def check_each_once(folder: Path, url: str | None, name: str, total: int) -> optuna.Study:
    study = optuna.load_study(study_name=name, storage=url or f"sqlite:///{folder}/study.db")
    assert [trial.number for trial in study.trials] == list(range(total))
    assert {trial.state for trial in study.trials} == {TrialState.COMPLETE}
    said = notes(folder)
    assert not [line for line in said if line.startswith("clash")]
    assert sorted(line.split()[0] for line in said) == [f"{n:04d}" for n in range(total)]
    return study


@pytest.mark.slow
@pytest.mark.parametrize("database", ["sqlite", "postgres"])
def test_no_trial_is_lost_or_run_twice(
    database: str, base: Config, tmp_path: Path, request: pytest.FixtureRequest
) -> None:
    url = request.getfixturevalue("postgres") if database == "postgres" else None
    options = TuneOptions((LR,), tmp_path / "kills", trials=TRIALS, sampler="random", storage=url)
    killed_and_restarted(options, base, workers=3, kills=KILLS)
    study = check_each_once(options.out, url, "kills", TRIALS)
    assert len({trial.params["optim.lr"] for trial in study.trials}) == TRIALS


@pytest.mark.slow
def test_a_grid_is_finished_point_by_point(base: Config, tmp_path: Path) -> None:
    options = TuneOptions(GRID, tmp_path / "grid", sampler="grid")
    killed_and_restarted(options, base, workers=3, kills=KILLS)
    check_each_once(options.out, None, "grid", 18)
    points = Counter(line.split(" ", 1)[1] for line in notes(options.out))
    assert len(points) == 18
    assert set(points.values()) == {1}


def at_once(options: TuneOptions, base: Config) -> Study:
    return tune(options, base, pretend(0))


@pytest.mark.parametrize("sampler", ["tpe", "gp", "random"])
def test_samplers_find_what_is_good(sampler: str, base: Config, tmp_path: Path) -> None:
    options = TuneOptions((LR,), tmp_path / "study", trials=12, sampler=sampler)  # type: ignore[arg-type]
    found = at_once(options, base)
    assert found.finished == 12
    assert found.params["optim.lr"] < 1e-3
    assert found.config is not None
    assert found.config.optim.lr == found.params["optim.lr"]
    assert (tmp_path / "study" / "best.json").read_text() == found.config.to_json()


def test_a_study_that_is_cut_in_two_is_the_same(base: Config, tmp_path: Path) -> None:
    whole, parts = (TuneOptions((LR,), tmp_path / name, trials=9) for name in ("whole", "parts"))
    at_once(whole, base)
    run = pretend(0)

    def interrupted(
        claim: Claim, config: Config, folder: Path, tick: Callable[[], None]
    ) -> Outcome:
        if claim.trial.number == 4:
            raise KeyboardInterrupt
        return run(claim, config, folder, tick)

    with pytest.raises(KeyboardInterrupt):
        tune(parts, base, interrupted)
    at_once(parts, base)

    def tried(folder: str) -> list[str]:
        return [line.split()[1] for line in notes(tmp_path / folder)]

    assert tried("parts") == tried("whole")
    assert len(set(tried("parts"))) == 9


def test_equal_options_are_trained_once(base: Config, tmp_path: Path) -> None:
    options = TuneOptions(("loss.name=ce,ldam",), tmp_path / "study", trials=6, sampler="random")
    found = at_once(options, base)
    assert found.finished == 6
    assert len(notes(tmp_path / "study")) == 2


def test_failed_trials_are_recorded(base: Config, tmp_path: Path) -> None:
    def run(claim: Claim, config: Config, folder: Path, tick: Callable[[], None]) -> Outcome:
        if config.loss.name == "ldam":
            return Outcome(reason="the loss is not finite")
        return Outcome(0.5)

    options = TuneOptions(GRID, tmp_path / "study", sampler="grid")
    found = tune(options, base, run)
    assert (found.finished, found.failed, found.running) == (18, 9, 0)
    page = (tmp_path / "study" / "study.html").read_text()
    assert page.count("the loss is not finite") == 9
    again = tune(options, base, run)
    assert again.finished == 18


def test_a_combination_that_cannot_be_is_a_failed_trial(base: Config, tmp_path: Path) -> None:
    searches = ("model.freeze-epochs=0,3", "optim.epochs=2,4")
    options = TuneOptions(searches, tmp_path / "study", sampler="grid")
    found = at_once(options, base)
    assert (found.finished, found.failed) == (4, 1)
    assert (
        "--model.freeze-epochs must be at most" in (tmp_path / "study" / "study.html").read_text()
    )


def test_a_study_without_hope_ends(base: Config, tmp_path: Path) -> None:
    with pytest.raises(TrainingError, match=r"the first 3 trials failed, .* with: no disk"):
        tune(TuneOptions((LR,), tmp_path / "study"), base, lambda *_: Outcome(reason="no disk"))


def test_an_interrupted_trial_goes_on(base: Config, tmp_path: Path) -> None:
    options = TuneOptions((LR,), tmp_path / "study", trials=3)
    begun: list[float] = []

    def interrupted(claim: Claim, config: Config, folder: Path, tick: object) -> Outcome:
        begun.append(config.optim.lr)
        if len(begun) == 2:
            raise KeyboardInterrupt
        return Outcome(0.1)

    with pytest.raises(KeyboardInterrupt, match="keeps every trial; continue with the same"):
        tune(options, base, interrupted)
    found = tune(options, base, interrupted)
    assert found.finished == 3
    assert len(begun) == 4
    assert begun[1] == begun[2]  # the same trial with the same options
    assert len(set(begun)) == 3


def test_folders_and_studies_belong_together(base: Config, tmp_path: Path) -> None:
    def refused(said: str, **changes: object) -> None:
        fields = {"search": (LR,), "out": tmp_path / "study", "trials": 2} | changes
        with pytest.raises(ConfigError, match=said) as caught:
            at_once(TuneOptions(**fields), base)  # type: ignore[arg-type]
        assert "\n" not in str(caught.value)

    at_once(TuneOptions((LR,), tmp_path / "study", trials=2), base)
    refused("--search of was optim.lr and is seed", search=("seed=0,1,2",))
    refused("different options: --search optim.lr was low", search=("optim.lr=0.1:0.2",))
    refused("--sampler was tpe and is random", sampler="random")
    (tmp_path / "photos").mkdir()
    (tmp_path / "photos" / "a.jpg").touch()
    refused("not empty and no study", out=tmp_path / "photos")
    refused("cannot be made", out=tmp_path / "photos" / "a.jpg")
    url = f"sqlite:///{tmp_path}/study/study.db"
    refused(f"its folder is {tmp_path}/study", out=tmp_path / "new", name="study", storage=url)
    (tmp_path / "study" / "study.db").unlink()
    refused("holds 2 trials, the database 0")
    (tmp_path / "study" / "study.json").write_text("{")
    refused(r"study\.json: damaged")


@pytest.mark.parametrize(
    ("url", "said"),
    [
        ("sqlite:////nowhere/at/all.db", "cannot be used .unable to open database file"),
        ("sqlite://", "a study in memory could not be resumed"),
        ("trials.db", "not the URL of a database"),
        ("oracle9://x/y", r"--storage oracle9://x/y: cannot be used .Can't load plugin"),
        ("postgresql+psycopg://me:secret@127.0.0.1:9/x", r"me:\*\*\*@127.0.0.1:9/x: cannot be use"),
    ],
)
def test_databases_that_cannot_be_had(url: str, said: str, base: Config, tmp_path: Path) -> None:
    if url.startswith("postgres"):
        pytest.importorskip("psycopg")
    with pytest.raises(ConfigError, match=said) as caught:
        at_once(TuneOptions((LR,), tmp_path / "study", storage=url), base)
    assert "\n" not in str(caught.value)
    assert "secret" not in str(caught.value)


def test_what_would_fail_every_trial_is_said_first(base: Config, tmp_path: Path) -> None:
    from dataclasses import replace

    from glr_fast.data import StoreError

    out = tmp_path / "study"
    with pytest.raises(ConfigError, match="a search needs validation figures"):
        at_once(TuneOptions((LR,), out), replace(base, run=replace(base.run, eval_every=0)))
    with pytest.raises(StoreError, match="no such store"):
        at_once(TuneOptions((LR,), out), replace(base, data=DataConfig(store=tmp_path / "no")))
    with pytest.raises(ConfigError, match="timm has no such model; did you mean"):
        at_once(TuneOptions(("model.name=resnet50,resnet51",), out), base)
    with pytest.raises(ConfigError, match="a grid needs values"):
        at_once(TuneOptions((LR,), out, sampler="grid"), base)
    assert not out.exists()
