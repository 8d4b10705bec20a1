"""Running tasks in processes: all results, progress, clean ends."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from contextlib import closing
from functools import partial
from multiprocessing import forkserver

import pytest

from shard_tools.errors import StoreError
from shard_tools.workers.local import _interrupts_held, run_tasks, start_server
from shard_tools.workers.tasks import Advance


def square(number: int, advance: Advance) -> int:
    for _ in range(number):
        advance(1)
    return number * number


def die(number: int, advance: Advance) -> int:
    if number == 3:
        os._exit(1)
    return number


def fail(number: int, advance: Advance) -> int:
    raise OSError(28, "No space left on device")


def endless(number: int, advance: Advance) -> int:
    while number:
        time.sleep(0.01)
        advance(1)
    return number


def numbers(count: int) -> list:
    return [partial(int, i) for i in range(count)]


@pytest.mark.parametrize("workers", [1, 2])
def test_all_results_and_all_progress(workers: int) -> None:
    seen: list[int] = []
    results = list(run_tasks(square, numbers(12), workers, seen.append))
    assert sorted(results) == [i * i for i in range(12)]
    assert sum(seen) == sum(range(12))


def malloc_setting(task: int, advance: Advance) -> str | None:
    advance(1)
    return os.environ.get("MALLOC_TRIM_THRESHOLD_")


def test_workers_keep_their_memory_and_nobody_else_does(monkeypatch: pytest.MonkeyPatch) -> None:
    assert None not in set(run_tasks(malloc_setting, numbers(2), 2, int))
    monkeypatch.delenv("MALLOC_TRIM_THRESHOLD_", raising=False)
    monkeypatch.setenv("MALLOC_MMAP_THRESHOLD_", "7")  # of somebody who knows better
    before, during = dict(os.environ), list[dict[str, str]]()
    monkeypatch.setattr(forkserver, "ensure_running", lambda: during.append(dict(os.environ)))
    start_server(square)
    assert dict(os.environ) == before
    assert during[0].items() - before.items() == {("MALLOC_TRIM_THRESHOLD_", str(256 << 20))}


def test_no_tasks() -> None:
    assert list(run_tasks(square, [], 2, print)) == []


def test_a_dead_worker_is_one_clear_error() -> None:
    with pytest.raises(StoreError, match="a worker process died"):
        list(run_tasks(die, numbers(6), 2, int))


def test_an_error_comes_through() -> None:
    with pytest.raises(OSError, match="No space"):
        list(run_tasks(fail, numbers(3), 2, int))


def test_closing_stops_running_tasks() -> None:
    start = time.monotonic()
    with closing(run_tasks(endless, numbers(3), 2, int)) as results:
        assert next(results) == 0
    assert time.monotonic() - start < 10


def test_ctrl_c_waits_while_workers_start() -> None:
    reached = False

    def interrupted() -> None:
        nonlocal reached
        with _interrupts_held():
            os.kill(os.getpid(), signal.SIGINT)
            reached = True

    with pytest.raises(KeyboardInterrupt):
        interrupted()
    assert reached


def test_workers_never_see_ctrl_c() -> None:
    mask = "import signal; print(signal.SIGINT in signal.pthread_sigmask(signal.SIG_BLOCK, []))"
    with _interrupts_held():
        inside = subprocess.check_output([sys.executable, "-c", mask], text=True)
    outside = subprocess.check_output([sys.executable, "-c", mask], text=True)
    assert (inside.strip(), outside.strip()) == ("True", "False")


def an_idle_worker(number: int, advance: Advance) -> int:
    """The first task says who does it; the second goes on until it is stopped."""
    while number:
        time.sleep(0.05)
        advance(0)
    return os.getpid()


def test_an_idle_worker_that_is_killed_does_not_hang_the_build() -> None:
    """It may hold the lock of the queue of tasks, for which the others wait."""
    results = run_tasks(an_idle_worker, numbers(2), 2, int)
    process = next(results)
    time.sleep(0.5)
    os.kill(process, signal.SIGKILL)
    with pytest.raises(StoreError, match="a worker process died"):
        list(results)
