"""Where tasks run: in processes of this machine, or on a Ray cluster."""

from __future__ import annotations

from collections.abc import Callable, Generator, Sequence
from contextlib import suppress
from dataclasses import dataclass

from shard_tools.errors import StoreError
from shard_tools.workers.local import run_tasks, start_server
from shard_tools.workers.tasks import Advance, Result, Task

EXECUTORS = ("local", "ray")


@dataclass(frozen=True)
class Executor:
    """Where tasks run; the results do not depend on it."""

    workers: int
    """Processes on this machine; also those of a Ray cluster that is started here."""
    kind: str = "local"
    """One of ``EXECUTORS``; with ``ray`` the cluster decides how many tasks run at a time."""
    address: str | None = None
    """Address of the Ray cluster; None: the one that ``RAY_ADDRESS`` names, or a new one here."""

    def __post_init__(self) -> None:
        if self.workers < 1:
            raise StoreError(f"--workers is {self.workers}; it must be 1 or more")
        if self.kind not in EXECUTORS:
            names = " or ".join(EXECUTORS)
            raise StoreError(f"--executor {self.kind!r} is unknown; give {names}")
        if self.address is not None and self.kind != "ray":
            raise StoreError("--ray-address is given without --executor ray; give both, or neither")

    def prepare(self, function: Callable[..., object]) -> None:
        """Start what takes half a second to start, while this process does something else.

        Args:
            function: the task that will be run first; workers start with its module loaded.
        """
        if self.kind == "local" and self.workers > 1:
            with suppress(OSError):  # starting a worker will raise the error again
                start_server(function)

    def run(
        self,
        function: Callable[[Task, Advance], Result],
        tasks: Sequence[Callable[[], Task]],
        advance: Advance,
    ) -> Generator[Result, None, None]:
        """Run tasks as :func:`run_tasks` does."""
        if self.kind == "ray" and tasks:
            from shard_tools.workers.ray import run_on_ray

            return run_on_ray(function, tasks, self.address, self.workers, advance)
        return run_tasks(function, tasks, min(self.workers, max(len(tasks), 1)), advance)
