"""Running tasks in processes: all results, progress, clean ends."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
import time
from contextlib import closing, suppress
from functools import partial
from multiprocessing import forkserver
from pathlib import Path

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


def one_is_busy(number: int, advance: Advance) -> int:
    """Task 0 ends at once; task 1 says who does it, and goes on until it is stopped."""
    if number:
        Path(os.environ["TEST_BUSY"]).write_text(str(os.getpid()))
    while number:
        time.sleep(0.05)
        advance(0)
    return number


def workers_alive() -> set[int]:
    """The processes that the fork server of this process has started and that still run."""
    server = forkserver._forkserver._forkserver_pid  # pyright: ignore
    found = set()
    for entry in Path("/proc").glob("[0-9]*/stat"):
        with suppress(OSError):  # it has just ended
            state, parent = entry.read_text().rpartition(")")[2].split()[:2]
            if int(parent) == server and state != "Z":
                found.add(int(entry.parent.name))
    return found


def all_end(processes: set[int], seconds: float = 10) -> bool:
    """Whether all of these processes end within some time."""
    until = time.monotonic() + seconds
    while processes & workers_alive() and time.monotonic() < until:
        time.sleep(0.05)
    return not processes & workers_alive()


def test_an_idle_worker_that_is_killed_does_not_hang_the_build(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It holds the lock of the queue of tasks, for which the other waits when its task is done."""
    busy = tmp_path / "busy"
    monkeypatch.setenv("TEST_BUSY", str(busy))
    results = run_tasks(one_is_busy, numbers(2), 2, int)
    assert next(results) == 0
    until = time.monotonic() + 10
    while not (busy.exists() and busy.read_text()) and time.monotonic() < until:
        time.sleep(0.02)
    started = workers_alive()
    (idle,) = started - {int(busy.read_text())}
    time.sleep(0.5)  # until it waits for a task
    os.kill(idle, signal.SIGKILL)
    said: list[BaseException] = []

    def rest() -> None:
        try:
            list(results)
        except StoreError as error:
            said.append(error)

    waiting = threading.Thread(target=rest, daemon=True)
    waiting.start()
    waiting.join(10)
    hangs, left = waiting.is_alive(), started & workers_alive()
    for process in left:  # so that a hanging pool ends, too
        os.kill(process, signal.SIGKILL)
    assert not hangs
    assert not left
    assert "a worker process died" in str(said[0])


def idle_until_told(number: int, advance: Advance) -> int:
    """Task 0 dies as soon as the file that says so is there; the others end at once."""
    if number:
        return number
    while not Path(os.environ["TEST_DIE"]).exists():
        time.sleep(0.02)
    os._exit(1)


def test_idle_workers_end_with_one_that_dies(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """They ignore SIGTERM, by which the pool would end them."""
    monkeypatch.setenv("TEST_DIE", str(tmp_path / "die"))
    results = run_tasks(idle_until_told, numbers(5), 4, int)
    assert {next(results) for _ in range(4)} == {1, 2, 3, 4}
    started = workers_alive()
    (tmp_path / "die").touch()
    with pytest.raises(StoreError, match="a worker process died"):
        list(results)
    assert len(started) == 4
    assert all_end(started)


def fail_when_told(number: int, advance: Advance) -> int:
    """Task 0 ends at once; the others fail as soon as the file that says so is there."""
    while number and not Path(os.environ["TEST_FAIL"]).exists():
        time.sleep(0.02)
        advance(0)
    if number:
        raise OSError(28, "No space left on device")
    return number


@pytest.mark.parametrize("ending", [OSError, KeyboardInterrupt, GeneratorExit])
def test_workers_end_with_the_work(
    ending: type[BaseException], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whether a task fails, or Ctrl-C comes, or whoever takes the results has had enough."""
    monkeypatch.setenv("TEST_FAIL", str(tmp_path / "fail"))
    results = run_tasks(fail_when_told, numbers(2), 2, int)
    assert next(results) == 0
    started = workers_alive()
    if ending is OSError:
        (tmp_path / "fail").touch()
        with pytest.raises(OSError, match="No space"):
            next(results)
    else:
        with pytest.raises(ending):
            results.throw(ending)
    assert len(started) == 2
    assert all_end(started)
