"""A search whose trials are real trainings: killed, resumed, pruned, and its best trained again."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path

import optuna
import psutil
import pytest
from optuna.trial import TrialState

from glr_fast import trained_model
from glr_fast.command_line import parse_train
from glr_fast.tune_options import TuneOptions
from glr_fast.tuning import tune
from glr_fast.tuning.claims import Claim
from glr_fast.tuning.trial_run import Outcome
from tests.conftest import REPOSITORY
from tests.helpers.runs import read_metrics

FLAGS = [
    *("--model.name", "test_resnet", "--model.no-pretrained", "--tracker", "none"),
    *("--data.image-size", "32", "--data.batch-size", "8", "--data.threads", "1"),
    *("--optim.epochs", "4", "--optim.backbone-lr-scale", "1"),
    *("--run.log-every", "2", "--run.save-every", "0.5", "--run.monitor", "accuracy"),
]


def command(store: Path, out: Path, *more: str) -> list[str]:
    line = [sys.executable, "-m", "glr_fast.commands.tune", "--data.store", str(store)]
    return [*line, "--out", str(out), *FLAGS, *more]


def run(line: list[str]) -> subprocess.CompletedProcess[str]:
    return subprocess.run(line, cwd=REPOSITORY, capture_output=True, text=True, check=False)


def load(out: Path) -> optuna.Study:
    return optuna.load_study(study_name=out.name, storage=f"sqlite:///{out}/study.db")


@pytest.mark.slow
def test_a_killed_search_goes_on_in_the_middle_of_a_training(store: Path, tmp_path: Path) -> None:
    out = tmp_path / "study"
    line = command(store, out, "--search", "optim.lr=0.001,0.01", "--sampler", "grid")
    worker = subprocess.Popen(line, cwd=REPOSITORY, stderr=subprocess.PIPE, text=True)
    first = out / "trials" / "0000"
    deadline = time.monotonic() + 300
    while not list(first.glob("checkpoints/step-*")):
        assert worker.poll() is None
        assert time.monotonic() < deadline
        time.sleep(0.05)
    (training,) = psutil.Process(worker.pid).children()
    os.kill(worker.pid, signal.SIGKILL)
    worker.communicate()
    psutil.wait_procs([training], timeout=60)
    assert not training.is_running()  # a training ends with its worker

    done = run(line)
    assert done.returncode == 0, done.stderr
    assert "trial 0: goes on" in done.stderr
    assert "trial 1: begins" in done.stderr
    log = (first / "train.log").read_text()
    assert "continuing from step" in log or "already finished" in log
    trials = load(out).trials
    assert [trial.state for trial in trials] == [TrialState.COMPLETE] * 2
    for trial in trials:
        folder = out / "trials" / f"{trial.number:04d}"
        lines = read_metrics(folder)
        figures = [line["val/accuracy"] for line in lines if "val/accuracy" in line]
        assert len(figures) == 4
        assert trial.value == max(figures)
        assert not (folder / "checkpoints").exists()
    assert trained_model.load_model(out / "trials" / "0001").card.name == "test_resnet"

    best = parse_train(["--config", str(out / "best.json"), "--out", str(tmp_path / "again")])
    assert best.optim.lr == load(out).best_trial.params["optim.lr"]
    assert best == replace(best, resume=False, out=tmp_path / "again")
    page = (out / "study.html").read_text()
    ours = re.sub(r"<script>.*?</script>", "", page, flags=re.DOTALL)  # plotly.js holds SVG links
    assert not re.findall(r'(?:src|href)="(?!data:)', ours)
    assert page.count('class="chart"') >= 3
    again = run(line)
    assert again.returncode == 0
    assert "begins" not in again.stderr


@pytest.mark.slow
def test_trainings_that_diverge_are_failed_trials(store: Path, tmp_path: Path) -> None:
    out = tmp_path / "study"
    wild = ["--optim.name", "sgd", "--optim.clip-norm", "None", "--optim.warmup-epochs", "0"]
    searches = ["--search", "optim.lr=0.001,1e30", "--sampler", "grid"]
    done = run(command(store, out, *wild, *searches))
    assert done.returncode == 0, done.stderr
    assert "2 trials finished, 0 of them pruned, 1 failed" in done.stdout
    assert "failed: the loss is not finite" in done.stderr


@pytest.mark.slow
def test_a_training_that_falls_behind_is_ended(store: Path, tmp_path: Path) -> None:
    """Beside two perfect trials, a real training of 1,000 epochs is given up after a few."""
    out, search = tmp_path / "study", "optim.lr=log:1e-4:1e-2"
    flags = [*FLAGS, "--optim.epochs", "1000", "--run.save-every", "0"]
    config = parse_train(["--data.store", str(store), *flags])

    def perfect(claim: Claim, *_: object) -> Outcome:
        for evaluation in range(1, 1001):
            claim.trial.report(2.0, evaluation)
        return Outcome(2.0)

    tune(TuneOptions((search,), out, trials=2), config, perfect)
    more = ["--search", search, "--trials", "3"]
    done = run([*command(store, out, *more), "--optim.epochs", "1000", "--run.save-every", "0"])
    assert done.returncode == 0, done.stderr
    assert "3 trials finished, 1 of them pruned, 0 failed" in done.stdout
    trial = load(out).trials[2]
    assert trial.state == TrialState.PRUNED
    folder = out / "trials" / "0002"
    evaluated = [line for line in read_metrics(folder) if "val/accuracy" in line]
    assert 2 <= len(trial.intermediate_values) <= len(evaluated) < 500
    assert not (folder / "checkpoints").exists()
    assert not [
        process
        for process in psutil.process_iter(["cmdline"])
        if str(folder) in " ".join(process.info["cmdline"] or [])
    ]


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["--searches", "a"], "did you mean --search?"),
        (["--search", "optim.lrr=1,2"], "did you mean optim.lr?"),
        (["--search", "optim.lr=1,2", "--sampler", "cma"], "invalid choice 'cma'"),
        (["--search", "optim.lr=1,2", "--trials", "0"], "--trials must be 1 or more; it is 0"),
        (["--search", "optim.lr=1,2", "--recipe", "resnet"], "unknown recipe 'resnet'"),
        (["--search", "optim.lr=1,2", "--data.store", "nowhere"], "nowhere: no such store folder"),
        ([], "say what to search"),
    ],
)
def test_bad_input_is_one_line(store: Path, arguments: list[str], said: str) -> None:
    command = [sys.executable, "-m", "glr_fast.commands.tune", "--data.store", str(store)]
    done = run([*command, *arguments])
    assert done.returncode == 2
    assert said in done.stderr
    assert done.stderr.count("\n") == 1
