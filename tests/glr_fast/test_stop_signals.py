"""Signals to one of several processes: what they must not touch, and who ends itself."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from glr_fast.stop_signals import StopSignals


def test_a_late_signal_writes_into_no_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Of several processes: a thread knows of signals by a socket, whose number others may get."""
    monkeypatch.setattr("glr_fast.stop_signals.dist.new_group", lambda **_: None)
    with StopSignals(2) as stop:
        os.kill(os.getpid(), signal.SIGTERM)
        stop.beat()
        time.sleep(0.3)
        files = [open(tmp_path / str(n), "w+b", buffering=0) for n in range(4)]  # noqa: SIM115
        os.kill(os.getpid(), signal.SIGTERM)
        time.sleep(0.2)
        for file in files:
            file.close()
    assert all(not (tmp_path / str(n)).read_bytes() for n in range(4))


HANGS = """
import os, signal, sys, time
from glr_fast import stop_signals
stop_signals.PATIENCE = 1.0
stop_signals.dist.new_group, stop_signals.dist.get_rank = lambda **_: None, lambda: 3
with stop_signals.StopSignals(2) as stop:
    os.kill(os.getpid(), signal.SIGTERM)
    if sys.argv[1] == "evaluates":
        with stop.at_once():
            time.sleep(3)
    for _ in range(12 if sys.argv[1] == "works" else 0):
        time.sleep(0.25)
        stop.beat()
    if sys.argv[1] == "hangs":
        time.sleep(30)
print("ended by itself")
"""


@pytest.mark.parametrize(("what", "code"), [("works", 0), ("evaluates", 0), ("hangs", 143)])
def test_only_a_process_that_hangs_ends_itself(what: str, code: int) -> None:
    done = subprocess.run(
        [sys.executable, "-c", HANGS, what], capture_output=True, text=True, check=False
    )
    assert done.returncode == code, done.stderr
    assert ("ended by itself" in done.stdout) == (code == 0)
    assert ("error on rank 3: told to stop, and hangs" in done.stderr) == (code != 0)
