"""The scripts in launch/ as a user runs them."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path

import pytest

from glr_fast.checkpoint import newest_checkpoint
from tests.integration.test_train import REPOSITORY, config


def run_script(*arguments: str) -> subprocess.CompletedProcess[str]:
    environment = {**os.environ, "ACCELERATE_USE_CPU": "true"}
    return subprocess.run(
        [sys.executable, *arguments],
        cwd=REPOSITORY,
        env=environment,
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["launch/train.py", "--recipe", "resnet50"], "did you mean resnet50_ce?"),
        (["launch/train.py", "--data.store", "nowhere"], "nowhere: no such store folder"),
        (["launch/evaluate.py", "--splits", "val"], "did you mean --split?"),
    ],
)
def test_the_scripts_answer_bad_input_with_one_line_and_2(arguments: list[str], said: str) -> None:
    done = run_script(*arguments)
    assert done.returncode == 2
    assert said in done.stderr
    assert done.stderr.startswith("error: ")
    assert done.stderr.count("\n") == 1


def test_interrupt_says_how_to_continue(store: Path, tmp_path: Path) -> None:
    out = tmp_path / "run"
    out.mkdir()
    long = config(store, out)
    long = replace(long, optim=replace(long.optim, epochs=2000))
    (out / "config.json").write_text(long.to_json())
    command = [sys.executable, "launch/train.py", "--resume", "--out", str(out)]
    process = subprocess.Popen(command, cwd=REPOSITORY, stderr=subprocess.PIPE, text=True)
    deadline = time.monotonic() + 120
    while newest_checkpoint(out) is None and time.monotonic() < deadline:
        time.sleep(0.05)
    process.send_signal(signal.SIGINT)
    _, said = process.communicate(timeout=60)
    assert process.returncode == 130
    assert "interrupted: last checkpoint" in said
    assert "continue with the same command and --resume" in said
    assert "Traceback" not in said


def test_help_lists_fields_with_their_docstrings() -> None:
    done = run_script("launch/train.py", "--help")
    assert done.returncode == 0
    assert "--data.batch-size" in done.stdout
    assert "Photos per global batch" in done.stdout
