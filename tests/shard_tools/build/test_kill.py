"""Builds that are killed, lose a worker or run out of disk: the next run finishes them."""

from __future__ import annotations

import contextlib
import os
import random
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from shard_tools.errors import StoreError
from tests.helpers.photos import built, kaggle
from tests.helpers.stores import same

SHARD_SIZE = 8
KILLS = int(os.environ.get("KILLS", "8"))
"""Of a build at random moments; every step is killed at in any case."""
MEMORY = Path("/dev/shm")
NO_SCAN: dict[str, Any] = {"duplicates": "keep"}
"""Photos are read once, when they are packed."""


@pytest.fixture(scope="module")
def memory() -> Iterator[Path]:
    """A folder in memory where there is one: every file of a store is synced to its disk."""
    with tempfile.TemporaryDirectory(dir=MEMORY if MEMORY.is_dir() else None) as folder:
        yield Path(folder)


@pytest.fixture
def outs(memory: Path) -> Iterator[Iterator[Path]]:
    """Folders for stores, as many as are asked for."""
    with tempfile.TemporaryDirectory(dir=memory) as folder:
        yield (Path(folder) / str(number) for number in range(1000))


@pytest.fixture(scope="module")
def source(memory: Path) -> Path:
    root = memory / "source"
    kaggle(root, {"1": 30, "2": 15, "3": 4, "4": 1})
    next((root / "train").rglob("*.jpg")).write_bytes(b"")  # so that rejected.csv has a row
    return root


@pytest.fixture(scope="module")
def whole(source: Path, memory: Path) -> Path:
    """The store that was built without interruption."""
    return built(source, memory / "whole", shard_size=SHARD_SIZE)


def start(source: Path, out: Path, workers: int, *more: str) -> subprocess.Popen[bytes]:
    """The command itself, in a process group of its own."""
    command = [sys.executable, "-m", "shard_tools.cli", "build", "--source", source, "--out", out]
    options = ["--shard-size", SHARD_SIZE, "--workers", workers, *more]
    return subprocess.Popen(
        [str(part) for part in [*command, *options]],
        start_new_session=True,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
    )


def wait_for(condition: Callable[[], bool], process: subprocess.Popen[bytes]) -> None:
    deadline = time.monotonic() + 60
    while not condition() and process.poll() is None:
        assert time.monotonic() < deadline
        time.sleep(0.001)


def test_killed_at_random_moments(source: Path, whole: Path, outs: Iterator[Path]) -> None:
    draw, out = random.Random(20261123), next(outs)
    kills, span = 0, 0.3
    while kills < KILLS:
        workers = 1 + kills % 2
        process = start(source, out, workers)
        begun = time.monotonic()
        wait_for(out.exists, process)
        time.sleep(draw.uniform(0, span))
        if process.poll() is None:
            os.killpg(process.pid, signal.SIGKILL)
            kills += 1
        _, errors = process.communicate()
        if process.returncode >= 0:  # finished before it was killed, now or the last time
            assert process.returncode == 0 or b"already holds a finished store" in errors
            span = max((time.monotonic() - begun) / 2, 0.1)
            assert same(out, whole)
            out = next(outs)
    finish(source, out, whole)


def finish(source: Path, out: Path, whole: Path, **options: Any) -> None:
    """Finish a build that was killed, unless it was so only after its end; compare every byte."""
    try:
        built(source, out, shard_size=SHARD_SIZE, **options)
    except StoreError as error:
        assert "already holds a finished store" in str(error)  # noqa: PT017 (either may happen)
    assert same(out, whole)


def dies_at(step: int, source: Path, out: Path) -> bool:
    """Build in a child that is gone without a trace at its ``step``-th rename or removal of a file.

    Returns whether it died; if not, the build was finished.
    """
    child = os.fork()
    if child == 0:
        status = 1
        try:
            left = iter(range(step))

            def or_die(change: Callable) -> Callable:
                def changed(*args, **kwargs):
                    if next(left, None) is None:
                        os.kill(os.getpid(), signal.SIGKILL)
                    return change(*args, **kwargs)

                return changed

            for name in ("replace", "unlink", "rmdir"):
                setattr(Path, name, or_die(getattr(Path, name)))
            built(source, out, shard_size=SHARD_SIZE)
            status = 0
        finally:
            os._exit(status)
    _, status = os.waitpid(child, 0)
    assert os.WIFSIGNALED(status) or os.WEXITSTATUS(status) == 0
    return os.WIFSIGNALED(status)


def test_killed_at_every_step(source: Path, whole: Path, outs: Iterator[Path]) -> None:
    steps = 0
    while dies_at(steps, source, out := next(outs)):
        finish(source, out, whole)
        steps += 1
    shards = len(list(whole.glob("*.tar")))
    assert (
        steps >= 4 * shards + 5
    )  # tar, index, record and its removal; plan, three tables, manifest


def test_a_worker_is_killed(source: Path, outs: Iterator[Path]) -> None:
    for out in outs:
        process = start(source, out, 2, "--duplicates", "keep")
        wait_for(lambda out=out: bool(list(out.glob("*.tar"))), process)
        try:
            for worker in workers_of(process.pid):
                os.kill(worker, signal.SIGSTOP)  # none finishes before the other is killed
            os.kill(workers_of(process.pid)[0], signal.SIGKILL)
        except (IndexError, ProcessLookupError):  # too late: all was packed
            process.communicate(timeout=60)
            continue
        for worker in workers_of(process.pid):
            with contextlib.suppress(ProcessLookupError):  # the build ends those that are left
                os.kill(worker, signal.SIGCONT)
        _, errors = process.communicate(timeout=60)
        if process.returncode == 0:
            continue
        assert process.returncode == 2
        assert errors.startswith(b"glr-shard: error: a worker process died")
        assert b"run the same command again" in errors
        assert len(errors.splitlines()) == 1
        finish(source, out, built(source, next(outs), shard_size=SHARD_SIZE, **NO_SCAN), **NO_SCAN)
        return


def workers_of(pid: int) -> list[int]:
    """Processes that the fork server of a build has forked."""
    psutil = pytest.importorskip("psutil", reason="psutil is not installed")
    found = []
    with contextlib.suppress(psutil.NoSuchProcess):
        for process in psutil.Process(pid).children(recursive=True):
            with contextlib.suppress(psutil.NoSuchProcess):  # it ended since it was listed
                if process.ppid() != pid:
                    found.append(process.pid)
    return found


def test_the_disk_is_full(source: Path, whole: Path, outs: Iterator[Path]) -> None:
    disk = next(outs)
    disk.mkdir()
    if not mounted(disk, "64k"):
        pytest.skip("no right to mount a small disk here")
    try:
        with pytest.raises(StoreError, match=r"the disk is full .* again to go on"):
            built(source, disk / "store", shard_size=SHARD_SIZE)
        assert list((disk / "store").glob("*.tar"))
        assert not list((disk / "store").glob(".*.tmp"))
        assert mounted(disk, "8m", "remount")
        assert same(built(source, disk / "store", shard_size=SHARD_SIZE), whole)
    finally:
        subprocess.run(["umount", disk], check=True)


def mounted(disk: Path, size: str, *options: str) -> bool:
    """Mount a disk of this size; False where that is not allowed."""
    command = ["mount", "-t", "tmpfs", "-o", ",".join([*options, f"size={size}"]), "none", disk]
    return subprocess.run(command, capture_output=True, check=False).returncode == 0
