"""Runs a backend in a thread and a CUDA stream of its own, so that finished batches lie ready.

The thread that trains launches a thousand kernels a step and can be ahead of the GPU by about as
many. What it does for a batch is time in which it launches nothing: planning, handing photos to
DALI, waiting for a decoder whose kernels have to wait for the model's.
"""

from __future__ import annotations

import threading
from collections.abc import Generator, Iterator
from contextlib import closing, nullcontext
from queue import Empty, Queue
from typing import NamedTuple

import torch

from glr_fast.data.backends.base import Backend
from glr_fast.data.plan import BatchPlan
from glr_fast.data.timings import Timings

#: Finished batches that lie ready.
_READY = 2


class _Finished(NamedTuple):
    """A batch that is ready, or will be when the GPU gets to ``done``."""

    plan: BatchPlan
    images: torch.Tensor
    done: torch.cuda.Event | None


class Background:
    """A backend whose batches are made in a thread, and finished on the device.

    Args:
        backend: what decodes; its images may be on the CPU or on the device.
        timings: told how many batches lie ready.
        device: where the images go.
    """

    def __init__(self, backend: Backend, timings: Timings, device: torch.device) -> None:
        self._backend, self._timings, self._device = backend, timings, device
        self._stream = torch.cuda.Stream(device) if device.type == "cuda" else None
        self._worker: _Worker | None = None

    def decode(self, plans: Iterator[BatchPlan]) -> Generator[tuple[BatchPlan, torch.Tensor]]:
        """Decode batch after batch, some ahead of what is taken.

        Yields:
            Each plan with its images, (batch, size, size, 3) uint8 on the device: memory of
            PyTorch's, that is used again when the consumer's stream has read it.
        """
        worker = self._worker = _Worker(self._backend, plans, self._device, self._stream)
        try:
            while (finished := worker.take()) is not None:
                self._timings.ready = worker.ready
                if finished.done is not None:
                    current = torch.cuda.current_stream(self._device)
                    current.wait_event(finished.done)
                    finished.images.record_stream(current)
                yield finished.plan, finished.images
                del finished  # not held while the next is waited for
        finally:
            worker.stop()
            self._worker = None

    def close(self) -> None:
        """End the thread; free the backend."""
        if self._worker is not None:
            self._worker.stop()
        self._backend.close()


class _Worker:
    """The thread of one ``decode``."""

    def __init__(
        self,
        backend: Backend,
        plans: Iterator[BatchPlan],
        device: torch.device,
        stream: torch.cuda.Stream | None,
    ) -> None:
        self._backend, self._plans = backend, plans
        self._device, self._stream = device, stream
        # None ends it; an error is raised where the batch would have been taken.
        self._finished: Queue[_Finished | BaseException | None] = Queue(_READY)
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._work, name="glr-batches", daemon=True)
        self._thread.start()

    @property
    def ready(self) -> int:
        """Batches that lie ready."""
        return self._finished.qsize()

    def take(self) -> _Finished | None:
        """The next batch; None after the last."""
        found = self._finished.get()
        if isinstance(found, BaseException):
            raise found
        return found

    def stop(self) -> None:
        """End the thread; what it has made is dropped."""
        self._stopping.set()
        while self._thread.is_alive():
            try:  # it may wait for room
                self._finished.get(timeout=0.02)
            except Empty:
                continue

    def _work(self) -> None:
        try:
            with self._on_device(), closing(self._backend.decode(self._plans)) as decoded:
                for plan, images in decoded:
                    self._finished.put(self._finish(plan, images))
                    del images
                    if self._stopping.is_set():
                        return
            self._finished.put(None)
        except BaseException as error:
            self._finished.put(error)

    def _on_device(self) -> torch.cuda.StreamContext | nullcontext[None]:
        return nullcontext() if self._stream is None else torch.cuda.stream(self._stream)

    def _finish(self, plan: BatchPlan, images: torch.Tensor) -> _Finished:
        if self._stream is None:
            return _Finished(plan, images, None)
        # A copy also of what is there already: DALI would reuse its memory in the order of this
        # stream, and does not know when the consumer's has read it. An H200 should take a few
        # hundredths of a millisecond for 256 images of 224 pixels (computed from its bandwidth).
        images = images.to(self._device, non_blocking=True, copy=True)
        done = torch.cuda.Event()
        done.record(self._stream)
        return _Finished(plan, images, done)
