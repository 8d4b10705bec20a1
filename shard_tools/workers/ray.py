"""Runs pure tasks on a Ray cluster (extra ``cluster``): many machines, the same results.

Every machine needs this package installed and must reach the source and ``--out``: a disk that all
share, or an object store.
"""

from __future__ import annotations

import logging
import os
import socket
from collections.abc import Callable, Generator, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

from shard_tools.errors import StoreError
from shard_tools.workers.tasks import Advance, Result, Task

_AHEAD = 2
"""Tasks submitted per CPU of the cluster: one runs, one waits."""
_PATIENCE_S = 10.0
_RETRIES = 3
"""Times that a task is given to another worker when its own dies."""


def run_on_ray(
    function: Callable[[Task, Advance], Result],
    tasks: Sequence[Callable[[], Task]],
    address: str | None,
    cpus: int,
    advance: Advance,
) -> Generator[Result, None, None]:
    """Run ``function`` on every task; results come as they are ready, in any order.

    This process stays connected to the cluster until it ends.

    Args:
        function: importable by name on every machine.
        tasks: functions that make the tasks, called shortly before each is run.
        address: of the cluster; None for ``RAY_ADDRESS``, else one that is started on this machine.
        cpus: of a cluster that is started on this machine.
        advance: called in this process when a task is done, with the progress it made.

    Raises:
        StoreError: Ray is not installed or not reached, or a task keeps killing its worker.
    """
    ray = _connected(address, cpus)
    try:
        yield from _drain(ray, function, tasks, advance)
    except ray.exceptions.RayTaskError as error:
        raise (error.cause if isinstance(error.cause, Exception) else error) from None
    except ray.exceptions.RayError as error:
        raise StoreError(
            f"the Ray cluster gave up on a task ({type(error).__name__}); run the same command "
            "again to go on where it stopped"
        ) from None


def _connected(address: str | None, cpus: int) -> Any:
    try:
        import ray
    except ImportError:
        raise StoreError("--executor ray needs Ray; pip install 'glr-fast[cluster]'") from None
    if ray.is_initialized():
        return ray
    starts = address == "local" or (address is None and "RAY_ADDRESS" not in os.environ)
    here: dict[str, Any] = {"include_dashboard": False, "num_cpus": cpus} if starts else {}
    try:
        _check_reachable(address or "")
        ray.init(address=address, log_to_driver=False, logging_level=logging.WARNING, **here)
    except (OSError, ValueError, RuntimeError) as error:
        text = " ".join(str(error).split())
        raise StoreError(
            f"--ray-address {address}: no Ray cluster reached ({text}); see ray status there"
        ) from None
    return ray


def _check_reachable(address: str) -> None:
    """See whether anything listens at ``host:port``: Ray itself would try for a minute."""
    host, _, port = address.removeprefix("ray://").rpartition(":")
    if host and port.isdecimal():
        socket.create_connection((host, int(port)), timeout=_PATIENCE_S).close()


def _drain(
    ray: Any,
    function: Callable[[Task, Advance], Result],
    tasks: Sequence[Callable[[], Task]],
    advance: Advance,
) -> Generator[Result, None, None]:
    """Keep the cluster's CPUs in work without making all tasks at once."""
    call = ray.remote(num_cpus=1, max_retries=_RETRIES)(_call)
    waiting, running = iter(tasks), []
    try:
        while True:
            slots = _AHEAD * max(int(ray.cluster_resources().get("CPU", 1)), 1)  # may grow
            for _, make in zip(range(slots - len(running)), waiting, strict=False):
                running.append(call.remote(Path.cwd(), function, make()))
            if not running:
                return
            ready, running = ray.wait(running)
            for reference in ready:
                result, progress = ray.get(reference)
                advance(progress)
                yield result
    finally:
        for reference in running:
            with suppress(ray.exceptions.RayError):
                ray.cancel(reference)


def _call(
    folder: Path, function: Callable[[Task, Advance], Result], task: Task
) -> tuple[Result, int]:
    """In a worker of the cluster: the result, and the progress made."""
    with suppress(OSError):  # so that relative paths mean the same as where the build was started
        os.chdir(folder)
    progress: list[int] = []
    return function(task, progress.append), sum(progress)
