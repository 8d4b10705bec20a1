"""What a launcher's user sees: one line and an exit code; signals and dead processes in time."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import psutil
import pytest

from glr_fast.checkpoint import TrainState, newest_checkpoint
from glr_fast.commands.launch import with_defaults
from tests.dist.test_two_processes import FLAGS, REPOSITORY

LAUNCH = (sys.executable, "-m", "glr_fast.commands.launch")
ACCELERATE = (sys.executable, "-m", "accelerate.commands.accelerate_cli", "launch")


def start(store: Path, out: Path, *launcher: str, epochs: int = 2000) -> subprocess.Popen[str]:
    """Begin a long run of the launcher, in a session of its own."""
    flags = [*FLAGS.split(), "--optim.epochs", str(epochs), "--run.eval-every", "0"]
    return subprocess.Popen(
        [*launcher, "launch/train.py", "--data.store", str(store), "--out", str(out), *flags],
        cwd=REPOSITORY,
        env={**os.environ, "ACCELERATE_USE_CPU": "true", "OMP_NUM_THREADS": "1"},
        stderr=subprocess.PIPE,
        stdout=subprocess.DEVNULL,
        text=True,
        start_new_session=True,
    )


def wait_for_steps(process: subprocess.Popen[str], out: Path) -> list[psutil.Process]:
    """Wait until the run trains; its processes but the launcher, oldest first."""
    deadline = time.monotonic() + 200
    while newest_checkpoint(out) is None:
        assert process.poll() is None, process.communicate()[1]
        assert time.monotonic() < deadline
        time.sleep(0.1)
    children = psutil.Process(process.pid).children(recursive=True)
    return [child for child in children if "launch/train.py" in child.cmdline()]


def end(process: subprocess.Popen[str], workers: list[psutil.Process]) -> None:
    for one in [*workers, process]:
        try:
            one.kill()
        except (psutil.NoSuchProcess, ProcessLookupError):
            continue


@pytest.mark.parametrize("processes", [1, 2])
def test_an_error_is_one_line_and_exit_code_2(processes: int, tmp_path: Path) -> None:
    done = subprocess.run(
        [*LAUNCH, "--num_processes", str(processes), "launch/train.py", "--data.store", "nowhere"],
        cwd=REPOSITORY,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 2
    assert done.stderr.startswith("error: ")
    assert "nowhere: no such store folder" in done.stderr
    assert done.stderr.count("\n") == 1


def test_a_killed_process_ends_the_others_with_a_message(store: Path, tmp_path: Path) -> None:
    process = start(store, tmp_path / "run", *LAUNCH, "--num_processes", "2")
    workers: list[psutil.Process] = []
    try:
        workers = wait_for_steps(process, tmp_path / "run")
        assert len(workers) == 2
        workers[1].kill()
        begun = time.monotonic()
        _, said = process.communicate(timeout=60)
        assert time.monotonic() - begun < 30
    finally:
        end(process, workers)
    assert process.returncode != 0
    assert "was killed (SIGKILL" in said or "another process of the run has ended" in said
    assert "continue with the same command and --resume" in said
    assert "Traceback" not in said
    assert not any(worker.is_running() for worker in workers)


def test_a_signal_to_the_launcher_of_two_saves(store: Path, tmp_path: Path) -> None:
    out = tmp_path / "run"
    process = start(store, out, *LAUNCH, "--num_processes", "2")
    workers: list[psutil.Process] = []
    try:
        workers = wait_for_steps(process, out)
        process.send_signal(signal.SIGUSR1)
        _, said = process.communicate(timeout=60)
    finally:
        end(process, workers)
    assert "stopped by SIGTERM at step " in said
    assert "Traceback" not in said
    newest = newest_checkpoint(out)
    assert newest
    step = TrainState.read(newest).step
    assert f"stopped by SIGTERM at step {step}," in said
    assert process.returncode == 128 + signal.SIGTERM


def test_an_orphan_of_accelerate_launch_saves_and_ends(store: Path, tmp_path: Path) -> None:
    """That launcher hands no signals on: the system tells its process that it has died."""
    out = tmp_path / "run"
    options = "--num_processes 1 --num_machines 1 --mixed_precision no --dynamo_backend no"
    process = start(store, out, *ACCELERATE, *options.split())
    workers: list[psutil.Process] = []
    try:
        workers = wait_for_steps(process, out)
        process.send_signal(signal.SIGTERM)
        _, said = process.communicate(timeout=60)  # of the worker, too: it has the same stderr
        gone, alive = psutil.wait_procs(workers, timeout=30)
    finally:
        end(process, workers)
    assert gone
    assert not alive
    assert "stopped by SIGTERM at step " in said


@pytest.mark.parametrize(
    ("arguments", "gpus", "expected"),
    [
        ({}, 0, {"--num_processes": "1"}),
        ({}, 8, {"--num_processes": "8", "--multi_gpu": None}),
        ({"num_processes": 2}, 0, {"--multi_gpu": None, "--main_process_port": "0"}),
        ({"num_processes": 2, "mixed_precision": "bf16"}, 2, {"--multi_gpu": None}),
        ({"config_file": "x.yaml"}, 8, {}),
    ],
)
def test_the_defaults_of_the_launcher(
    arguments: dict[str, object], gpus: int, expected: dict[str, str | None]
) -> None:
    """What was typed is not chosen again; the rest is, so that there is nothing to warn of."""
    flags = with_defaults(["a.py"], type("Given", (), arguments)(), gpus)
    assert flags[-1] == "a.py"
    for flag, value in expected.items():
        assert value is None or flags[flags.index(flag) + 1] == value
    assert ("--multi_gpu" in flags) == ("--multi_gpu" in expected)
    assert not {f"--{name}" for name in arguments} & set(flags)
    chosen = {"--num_machines", "--dynamo_backend"} <= set(flags)
    assert chosen != ("config_file" in arguments)
