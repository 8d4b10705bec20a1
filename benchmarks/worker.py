"""One contender in a process of its own: gets ready, then measures whenever it is asked to.

python -m benchmarks.worker NAME JOB.json      # one JSON object per line in, and one out

A line in has the seconds to measure and, where a sweep goes on to others, fields of the job.
"""

from __future__ import annotations

import contextlib
import dataclasses
import gc
import importlib
import json
import os
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any, TextIO, cast

import psutil

from benchmarks.peers import AXES, Job, Peer

#: Batches that pass before the clock starts, at least.
WARM_UP = 5


def warm_up(job: Job) -> int:
    """Batches that pass before the clock starts: more than any contender works ahead."""
    return max(WARM_UP, job.workers * job.prefetch + 1)


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


def measure(batches: Iterator[Any], seconds: float, job: Job) -> dict[str, float]:
    """Rate over whole batches, for at least a time.

    Workers that make a batch each deliver them in bursts, so batches come in multiples of them.

    Args:
        batches: without end.
        seconds: least time to measure.
        job: says how many workers there are, and how far ahead they are.
    """
    for _ in range(warm_up(job)):
        next(batches)
    photos, count, cpu, started = 0, 0, cpu_seconds(), time.perf_counter()
    while time.perf_counter() - started < seconds or count % job.workers:
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
    axes = getattr(peer, "AXES", AXES)
    ready = {"title": peer.TITLE, "prepare_s": prepared, "axes": axes, **first}
    print(json.dumps(ready), file=out)
    for line in sys.stdin:
        asked = json.loads(line)
        wanted = dataclasses.replace(job, **asked["settings"])
        if wanted != job:
            del batches  # ends its workers before others start
            gc.collect()
            job, batches = wanted, peer.batches(wanted)
        print(json.dumps(measure(batches, asked["seconds"], job)), file=out)
    out.flush()
    os._exit(0)  # nothing of a contender's shutdown matters here


if __name__ == "__main__":
    main()
