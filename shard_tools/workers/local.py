"""Runs pure tasks in worker processes, with progress, and ends them cleanly."""

from __future__ import annotations

import multiprocessing

# Now, not when the first counter is made: it executes a string, and Python 3.11 exits with the
# signal, not with our code, once an interrupt has passed through that.
import multiprocessing.sharedctypes
import os
import signal
import threading
from collections.abc import Callable, Generator, Iterator, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ProcessPoolExecutor, wait
from concurrent.futures.process import BrokenProcessPool
from contextlib import contextmanager
from multiprocessing import forkserver, resource_tracker
from typing import Any

from shard_tools.errors import StoreError
from shard_tools.workers.tasks import Advance, CancelledError, Result, Task
from shard_tools.workers.without_pandas import without_pandas

_POLL_S = 0.2

#: glibc's, of workers: keep the memory of one photo for the next. Some hundred page faults a photo
#: are 4% of the time that resizing takes.
_MALLOC = {"MALLOC_MMAP_THRESHOLD_": str(32 << 20), "MALLOC_TRIM_THRESHOLD_": str(256 << 20)}


def run_tasks(
    function: Callable[[Task, Advance], Result],
    tasks: Sequence[Callable[[], Task]],
    workers: int,
    advance: Advance,
) -> Generator[Result, None, None]:
    """Run ``function`` on every task; results come as they are ready, in any order.

    Close the iterator to stop: running tasks end at their next call of ``advance``.

    Args:
        function: importable by name; called with a task and a function to report progress to.
        tasks: functions that make the tasks, called shortly before each is run.
        workers: processes; with 1 everything runs in this one.
        advance: called in this process with the progress made since the last call.

    Raises:
        StoreError: a worker process died.
    """
    if workers == 1:
        for make in tasks:
            yield function(make(), advance)
        return
    start_server(function)
    context = multiprocessing.get_context("forkserver")
    done, stop = context.Value("q", 0), context.Event()
    # The server may be older than what the environment says now, credentials for instance.
    start = done, stop, dict(os.environ)
    pool = ProcessPoolExecutor(workers, context, _start_worker, start)
    try:
        yield from _drain(pool, function, tasks, 2 * workers, _Meter(done, advance))
    except BrokenProcessPool:
        # They ignore SIGTERM, and may wait for ever for a lock that the dead one held.
        for process in list((pool._processes or {}).values()):
            process.kill()
        raise StoreError(
            "a worker process died (killed, or out of memory?); run the same command again to go "
            "on where it stopped, perhaps with fewer --workers"
        ) from None
    finally:
        stop.set()
        pool.shutdown(cancel_futures=True)


def start_server(function: Callable[..., object]) -> None:
    """Start the server that workers are forked from, unless it is running already.

    Args:
        function: what the workers will run. The server imports its module once, and so every worker
            starts with everything that it needs.
    """
    forkserver.set_forkserver_preload([function.__module__])
    resource_tracker.ensure_running()  # before, since it ends with letting interrupts through
    added = {name: value for name, value in _MALLOC.items() if name not in os.environ}
    os.environ.update(added)
    try:
        with _interrupts_held():  # the server inherits that
            forkserver.ensure_running()
    finally:
        for name in added:
            del os.environ[name]


def _drain(
    pool: ProcessPoolExecutor,
    function: Callable[[Task, Advance], Result],
    tasks: Sequence[Callable[[], Task]],
    ahead: int,
    meter: _Meter,
) -> Iterator[Result]:
    """Keep ``ahead`` tasks submitted, so that memory does not grow with their number."""
    waiting = iter(tasks)
    running: set[Future[Result]] = set()
    while True:
        with _interrupts_held():  # the processes start here, and inherit that
            for _, make in zip(range(ahead - len(running)), waiting, strict=False):
                running.add(pool.submit(_call, function, make()))
        if not running:
            return
        ready, running = wait(running, _POLL_S, FIRST_COMPLETED)
        meter.report()
        # Failures last: what is finished is not lost with them.
        for future in sorted(ready, key=lambda future: future.exception() is not None):
            yield future.result()


class _Meter:
    """Passes on what the workers have counted since the last report."""

    def __init__(self, counter: Any, advance: Advance) -> None:
        self._counter, self._advance, self._seen = counter, advance, 0

    def report(self) -> None:
        count = self._counter.value
        self._advance(count - self._seen)
        self._seen = count


@contextmanager
def _interrupts_held() -> Iterator[None]:
    """Ctrl-C waits until the block ends; processes started inside never see it.

    The mask is for those processes, which inherit it. It does not keep the signal from this one:
    any other thread may take it, so the handler is held back too.
    """
    if threading.current_thread() is not threading.main_thread():
        yield  # signals reach the main thread only
        return
    caught: list[int] = []
    handler = signal.signal(signal.SIGINT, lambda number, frame: caught.append(number))
    mask = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, mask)
        signal.signal(signal.SIGINT, handler)
        if caught:
            signal.raise_signal(signal.SIGINT)


_shared: tuple[Any, Any] | None = None
"""In a worker: the counter of progress and the event that ends it."""


def _start_worker(done: Any, stop: Any, environment: dict[str, str]) -> None:
    global _shared
    _shared = done, stop
    without_pandas()
    os.environ.update(environment)
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, signal.SIG_IGN)  # the parent ends the work, and its workers
    threading.Thread(target=_end_with_parent, daemon=True).start()


def _end_with_parent() -> None:
    """A worker whose parent was killed would wait for tasks for ever, and hold its memory."""
    parent = multiprocessing.parent_process()
    if parent is not None:
        parent.join()
        os._exit(1)


def _call(function: Callable[[Task, Advance], Result], task: Task) -> Result:
    return function(task, _advance)


def _advance(count: int) -> None:
    assert _shared is not None, "runs in a worker only"
    done, stop = _shared
    if stop.is_set():
        raise CancelledError
    with done.get_lock():
        done.value += count
