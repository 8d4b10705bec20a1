"""One training at a time in a run folder."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from glr_fast.errors import ConfigError
from glr_fast.run_lock import RunLock

HOLD = "import sys; from pathlib import Path; from glr_fast.run_lock import RunLock; "
HOLD += "lock = RunLock(Path(sys.argv[1])); lock.take(); print('held', flush=True); input()"


def test_a_second_run_is_refused_with_the_pid(tmp_path: Path) -> None:
    run = tmp_path / "a" / "run"
    process = subprocess.Popen(
        [sys.executable, "-c", HOLD, str(run)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    assert process.stdout
    assert process.stdout.readline() == "held\n"
    lock = RunLock(run)
    with pytest.raises(ConfigError, match=f"process {process.pid} on .* is training there"):
        lock.take()
    lock.release()  # of what it does not have: the other one's stays
    with pytest.raises(ConfigError, match="is training there"):
        RunLock(run).take()
    process.send_signal(signal.SIGKILL)
    process.communicate()
    lock.take()  # the system has freed it
    assert f"process {os.getpid()} " in (run / "run.lock").read_text()
    lock.release()
    assert not (run / "run.lock").exists()


def test_a_start_that_fails_leaves_no_folder(tmp_path: Path) -> None:
    lock = RunLock(tmp_path / "a" / "b")
    lock.take()
    assert (tmp_path / "a" / "b").is_dir()
    lock.release()
    assert not (tmp_path / "a").exists()
    lock.take()
    (tmp_path / "a" / "b" / "config.json").write_text("")
    lock.release()
    assert [path.name for path in (tmp_path / "a" / "b").iterdir()] == ["config.json"]


def test_a_file_system_without_locks_is_trained_on_all_the_same(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def without(*_: object) -> None:
        raise OSError(95, "Operation not supported")

    monkeypatch.setattr("fcntl.flock", without)
    lock = RunLock(tmp_path / "run")
    lock.take()
    lock.release()
    assert list((tmp_path / "run").iterdir()) == []
