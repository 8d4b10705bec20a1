"""The loader: what a training loop sees of plan, shards and decoder."""

from __future__ import annotations

import weakref
from collections.abc import Generator, Iterator
from contextlib import closing
from dataclasses import dataclass
from functools import partial
from types import TracebackType
from typing import Literal, Self

import numpy as np
import torch

from glr_fast.data.backends.base import Backend, StoreSupply
from glr_fast.data.image_edits import edit_images
from glr_fast.data.normalisation import normalise
from glr_fast.data.plan import BatchPlan, Plan
from glr_fast.data.read_ahead import ReadAhead
from glr_fast.data.shard_reader import ShardReader
from glr_fast.data.timings import Timings
from glr_fast.data.upload import upload
from glr_fast.data.watchdog import Watchdog

Output = Literal["uint8", "float32"]


@dataclass(frozen=True)
class Batch:
    """One rank's share of a batch."""

    images: torch.Tensor
    """Shape (batch, 3, size, size), uint8 or normalised float32, channels-last in memory, on the
    loader's device."""
    labels: torch.Tensor
    """Shape (batch,), int64, on the loader's device."""
    rows: np.ndarray
    """Rows of the store's samples table. Shape (batch,), int64. They lead to everything else that
    the store knows of a photo: ``store.samples(["capture_year"])["capture_year"].to_numpy()[rows]``
    for a column that the build carried over."""
    valid: int
    """Leading photos that count; fewer than the batch only at the end of an evaluation, even 0."""


class Loader:
    """Batches of a split, by global step. Make one with :func:`open_loader`."""

    def __init__(
        self,
        plan: Plan,
        supply: StoreSupply,
        backend: Backend,
        device: torch.device,
        output: Output,
    ) -> None:
        self.plan = plan
        self.device = device
        self.bad_photos = supply.bad_photos
        self._reader = supply.reader
        self._timings = supply.timings
        self._watchdog = Watchdog()
        self._ahead = ReadAhead(plan, supply.reader)
        self._backend = backend
        self._output = output
        self._current: Generator[Batch] | None = None
        # Also where nobody calls close: a pipeline must be gone before DALI itself is, at exit.
        self._free = weakref.finalize(self, _free, backend, supply.reader, self._watchdog)

    @property
    def steps_per_epoch(self) -> int:
        """Batches of an epoch: the same on every rank."""
        return self.plan.steps_per_epoch

    @property
    def timings(self) -> dict[str, float]:
        """Where the time went so far: the fields of :class:`glr_fast.data.timings.Timings`."""
        return self._timings.numbers()

    def stream(self, start_step: int = 0) -> Iterator[Batch]:
        """Batches from a global step on, without end, across epochs.

        What comes at a step depends on the plan and the step alone: a stream started at step 1000
        is the one that had come from 0 to there. A loader gives one stream at a time: a new one
        ends the one before it.
        """
        return self._begin(start_step, None)

    def epoch(self, epoch: int = 0) -> Iterator[Batch]:
        """The batches of one epoch."""
        first = epoch * self.steps_per_epoch
        return self._begin(first, first + self.steps_per_epoch)

    def __iter__(self) -> Iterator[Batch]:
        return self.epoch()

    def __len__(self) -> int:
        return self.steps_per_epoch

    def close(self) -> None:
        """Stop working ahead; free decoder and mapped shards."""
        self._end_current()
        self._free()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    def _begin(self, first: int, last: int | None) -> Iterator[Batch]:
        self._end_current()
        self._current = self._batches(first, last)
        return self._current

    def _end_current(self) -> None:
        if self._current is not None:
            self._current.close()
            self._current = None

    def _batches(self, first: int, last: int | None) -> Generator[Batch]:
        # Closed by hand: a backend must stop working ahead when this stream ends, not some time
        # later when its generator is collected.
        plans = _plans(self.plan, self._ahead, self._timings, first, last)
        with closing(self._backend.decode(plans)) as decoded:
            step = first
            while True:
                with (
                    self._timings.span("wait_s"),
                    self._watchdog.watching(partial(self._doing, step)),
                ):
                    taken = next(decoded, None)
                if taken is None:
                    return
                with self._timings.span("transfer_s"):
                    batch = self._batch(*taken)
                self._timings.add(batches=1, photos=len(batch.rows))
                yield batch
                step += 1

    def _doing(self, step: int) -> str:
        return f"batch {step}: {self._reader.doing}"

    def _batch(self, plan: BatchPlan, images: torch.Tensor) -> Batch:
        images = images.to(self.device, non_blocking=True)
        images = edit_images(images, plan.edits).permute(0, 3, 1, 2)
        if self._output == "float32":
            images = normalise(images)
        labels = upload(plan.labels, self.device)
        return Batch(images, labels, plan.rows, plan.valid)


def _plans(
    plan: Plan, ahead: ReadAhead, timings: Timings, first: int, last: int | None
) -> Generator[BatchPlan]:
    """What the backend is to decode. No method: a backend would keep its loader alive."""
    step = first
    while last is None or step < last:
        with timings.span("source_s"):
            ahead.look(step, last)
            batch = plan.batch(step)
        yield batch
        step += 1


def _free(backend: Backend, reader: ShardReader, watchdog: Watchdog) -> None:
    backend.close()
    reader.close()
    watchdog.close()
