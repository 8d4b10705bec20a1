"""No loader: libjpeg-turbo decodes whole photos in threads and throws them away."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import numpy as np
import simplejpeg

from benchmarks.peers import Job
from glr_fast.data.plan import BatchPlan, Plan, Samples
from glr_fast.data.shard_reader import ShardReader
from shard_tools.store.store import Store

TITLE = "bound: libjpeg-turbo, full decode, nothing else"
AXES: dict[str, tuple[int, ...]] = {}

#: Photos that a thread takes at once.
_CHUNK = 8


def prepare(job: Job) -> None:
    """Reads the store itself."""


def batches(job: Job) -> Iterator[range]:
    """As many photos at a time as a batch has."""
    return run(job, lambda encoded, _: simplejpeg.decode_jpeg(encoded, "RGB"))


def run(job: Job, decode: Callable[[np.ndarray, np.ndarray], Any]) -> Iterator[range]:
    """Call ``decode(encoded, box)`` on the photos of our plan, batch after batch, in threads."""
    store = Store.open(job.store)
    plan, source = (
        Plan(Samples.of_split(store, "train"), job.batch_size),
        ShardReader(store, "train"),
    )

    def part(encoded: Sequence[np.ndarray], boxes: np.ndarray) -> None:
        for each, box in zip(encoded, boxes, strict=True):
            decode(each, box)

    def start(pool: ThreadPoolExecutor, batch: BatchPlan) -> list[Any]:
        encoded = source.encoded(batch.rows)
        cuts = [slice(i, i + _CHUNK) for i in range(0, len(batch), _CHUNK)]
        return [pool.submit(part, encoded[cut], batch.edits.boxes[cut]) for cut in cuts]

    with ThreadPoolExecutor(job.workers) as pool:
        step = 0
        ahead = start(pool, plan.batch(step))
        while True:
            step += 1
            parts, ahead = ahead, start(pool, plan.batch(step))
            for each in parts:
                each.result()
            yield range(job.batch_size)
