"""Contenders in turn, each in a process of its own that is stopped while others run.

A :class:`Worker` holds one contender ready. Between its turns its whole process group is suspended
(SIGSTOP), so that nothing it does ahead takes time from another. :func:`interleave` goes round them
as often as asked; what comes out is judged by benchmarks/samples.py.
"""

from __future__ import annotations

import contextlib
import dataclasses
import json
import os
import signal
import subprocess
import sys
import tempfile
import threading
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from benchmarks.environment import repository
from benchmarks.peers import Job
from benchmarks.samples import Sample

#: Where benchmarks/peers/install.sh puts the contenders' libraries by default.
PEERS_PYTHON = Path("/tmp/peers/bin/python")

#: Cores that a contender may use, however many threads or workers it starts.
CORES = 2

#: Seconds that a contender may take for one answer; its own container is made in the first.
PATIENCE = 180.0


class PeerError(Exception):
    """A contender does not run here; the message is the last thing it said."""


def write_job(job: Job, path: Path) -> Path:
    """A job as a file that benchmarks/worker.py reads."""
    fields = {k: str(v) if isinstance(v, Path) else v for k, v in dataclasses.asdict(job).items()}
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(fields))
    return path


@dataclass(frozen=True)
class Ready:
    """What a contender says of itself once it is ready."""

    title: str
    output: str
    """Type of its images; "none" for a bound."""
    mean: float | None
    """Mean level of the first images: about the same for all, or they do not show photos."""
    prepare_s: float
    """Seconds it took to write its own container; near 0 where that was there already."""
    shape: list[int] | None = None
    axes: dict[str, list[int]] = dataclasses.field(default_factory=dict)
    """What a sweep may try: values of fields of the job."""


class Worker:
    """A contender that is ready and suspended.

    Args:
        name: module in benchmarks/peers.
        job: what it is to do.
        python: interpreter that has its libraries.

    Raises:
        PeerError: it cannot run here.
    """

    def __init__(self, name: str, job: Job, python: Path) -> None:
        self.name = name
        self._log = tempfile.TemporaryFile("w+")  # noqa: SIM115 - closed with the worker
        file = write_job(job, job.work / f"job-{name}.json")
        self._process = subprocess.Popen(
            [str(python), "-m", "benchmarks.worker", name, str(file)],
            cwd=repository(),
            env={**os.environ, "OMP_NUM_THREADS": str(CORES)},
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=self._log,
            text=True,
            start_new_session=True,
            preexec_fn=lambda: pin(CORES),
        )
        try:
            self.ready = Ready(**self._answer())
        except PeerError:
            self.close()
            raise
        self._signal(signal.SIGSTOP)

    def measure(self, seconds: float, settings: Mapping[str, int] | None = None) -> Sample:
        """Run for some seconds; suspended before and after.

        Args:
            seconds: least time to measure.
            settings: fields of the job that are to be others than it was started with.

        Raises:
            PeerError: it has ended.
        """
        self._signal(signal.SIGCONT)
        assert self._process.stdin is not None
        asked = {"seconds": seconds, "settings": dict(settings or {})}
        self._process.stdin.write(f"{json.dumps(asked)}\n")
        self._process.stdin.flush()
        sample = Sample(**self._answer())
        self._signal(signal.SIGSTOP)
        return sample

    def close(self) -> None:
        """End it and all that it started."""
        self._signal(signal.SIGKILL)
        self._process.wait()
        self._log.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    def _answer(self) -> dict[str, Any]:
        assert self._process.stdout is not None
        watchdog = threading.Timer(PATIENCE, self._signal, [signal.SIGKILL])
        watchdog.start()
        line = self._process.stdout.readline()
        watchdog.cancel()
        if not line:
            self._log.seek(0)
            said = [text for text in self._log.read().splitlines() if text.strip()]
            last = said[-1] if said else "none"
            raise PeerError(f"ended, or gave no answer in {PATIENCE:g} s; its last line: {last}")
        return json.loads(line)

    def _signal(self, number: signal.Signals) -> None:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self._process.pid, number)


def pin(cores: int) -> None:
    """Keep this process and all that it starts on the first so many cores."""
    os.sched_setaffinity(0, sorted(os.sched_getaffinity(0))[:cores])


def interleave(
    workers: Sequence[Worker], repetitions: int, seconds: float
) -> dict[str, list[Sample]]:
    """Measure everyone once, then everyone again, so that a slow spell hits all alike.

    Returns:
        Samples by contender; the k-th of all belong to the same round.
    """
    samples: dict[str, list[Sample]] = {worker.name: [] for worker in workers}
    for round_number in range(repetitions):
        # Every second round backwards: nobody always follows the same neighbour.
        for worker in workers[:: -1 if round_number % 2 else 1]:
            sample = worker.measure(seconds)
            samples[worker.name].append(sample)
            print(f"  round {round_number + 1}: {worker.name:18} {sample.rate:8.0f}/s", flush=True)
    return samples


def interpreter() -> Path:
    """The one that has the contenders' libraries, else this one."""
    return PEERS_PYTHON if PEERS_PYTHON.exists() else Path(sys.executable)
