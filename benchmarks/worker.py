"""One contender in a process of its own: gets ready, then measures whenever it is asked to.

python -m benchmarks.worker NAME JOB.json      # "SECONDS\n" in, one JSON object per line out
"""

from __future__ import annotations

import contextlib
import importlib
import json
import os
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any, TextIO, cast

import psutil

from benchmarks.peers import Job, Peer

#: Batches that pass before the clock starts: more than any contender works ahead.
WARM_UP = 5


def read_job(path: Path) -> Job:
    """A job that :func:`benchmarks.harness.write_job` wrote."""
    fields = json.loads(path.read_text())
    for name in ("store", "work"):
        fields[name] = Path(fields[name])
    for name in ("scale", "ratio"):
        fields[name] = tuple(fields[name])
    return Job(**fields)


def describe(batch: Any) -> dict[str, Any]:
    """What a first batch is like: type, shape and mean, to see that real images come."""
    if not hasattr(batch, "shape"):
        return {"output": "none", "mean": None}
    return {
        "output": str(batch.dtype).removeprefix("torch."),
        "shape": list(batch.shape),
        "mean": round(float(batch[:32].float().mean()), 1),
    }


def measure(batches: Iterator[Any], seconds: float, multiple: int) -> dict[str, float]:
    """Rate over whole batches, for at least a time.

    Args:
        batches: without end.
        seconds: least time to measure.
        multiple: of how many batches; workers that make a batch each deliver them in bursts.
    """
    for _ in range(WARM_UP):
        next(batches)
    photos, count, cpu, started = 0, 0, cpu_seconds(), time.perf_counter()
    while time.perf_counter() - started < seconds or count % multiple:
        photos += len(next(batches))
        count += 1
    took = time.perf_counter() - started
    return {"photos": photos, "seconds": took, "cpu_seconds": cpu_seconds() - cpu}


def cpu_seconds() -> float:
    """CPU time of this process and those it started, user and system."""
    own = psutil.Process()
    total = 0.0
    for process in [own, *own.children(recursive=True)]:
        with contextlib.suppress(psutil.Error):
            times = process.cpu_times()
            total += times.user + times.system
    return total


def main() -> None:
    """Get ready, then serve until the input ends."""
    # Libraries print; what this process says goes through a copy of its standard output.
    out: TextIO = os.fdopen(os.dup(1), "w", buffering=1)
    os.dup2(2, 1)
    job = read_job(Path(sys.argv[2]))
    peer = cast("Peer", importlib.import_module(f"benchmarks.peers.{sys.argv[1]}"))
    started = time.perf_counter()
    peer.prepare(job)
    prepared = time.perf_counter() - started
    batches = peer.batches(job)
    first = describe(next(batches))
    print(json.dumps({"title": peer.TITLE, "prepare_s": prepared, **first}), file=out)
    for line in sys.stdin:
        print(json.dumps(measure(batches, float(line), job.workers)), file=out)
    out.flush()
    os._exit(0)  # nothing of a contender's shutdown matters here


if __name__ == "__main__":
    main()
