"""The CPU backend: nvImageCodec's libjpeg-turbo decodes the crop, OpenCV resizes it, in threads.

Both release the interpreter's lock. Where there is no GPU this is the default: DALI's own CPU
backend does the same work at about half the speed, held back by its resize
(benchmarks/results/loader_cpu.md).
"""

# nvImageCodec is a compiled module without type stubs.
# pyright: reportAttributeAccessIssue=false

from __future__ import annotations

import threading
import time
import weakref
from collections import deque
from collections.abc import Generator, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from typing import NamedTuple

import cv2
import numpy as np
import torch
from nvidia import nvimgcodec

from glr_fast.data.backends.base import Supply
from glr_fast.data.backends.color import color_matrices
from glr_fast.data.backends.jpeg_regions import decode_region, make_decoder
from glr_fast.data.backends.resample import resize_antialiased
from glr_fast.data.plan import BatchPlan

#: Photos that a thread takes at once: few enough to keep all threads busy to the end of a batch.
_CHUNK = 8


class _Task(NamedTuple):
    """A batch that is being worked on."""

    plan: BatchPlan
    images: torch.Tensor
    parts: list[Future[None]]


class CpuBackend:
    """Turns batch plans into images: (batch, size, size, 3) uint8 on the CPU.

    Args:
        supply: encoded photos, and what replaces bad ones.
        batch_size: most photos of a batch.
        image_size: side of the square images, pixels.
        threads: threads that decode.
        queue_depth: batches that are worked on ahead of the one handed out.
        pinned: put the images into page-locked memory, from which a GPU takes them by itself.
    """

    def __init__(
        self,
        supply: Supply,
        batch_size: int,
        image_size: int,
        threads: int,
        queue_depth: int = 2,
        pinned: bool = False,
    ) -> None:
        # The threads are ours: OpenCV's own would only get in their way.
        cv2.setNumThreads(1)
        self._reader, self._bad_photos, self._timings = (
            supply.reader,
            supply.bad_photos,
            supply.timings,
        )
        shape = batch_size, image_size, image_size, 3
        self._buffers = PinnedBuffers(shape) if pinned else BufferPool(shape)
        self._depth = queue_depth
        self._threads = ThreadPoolExecutor(threads, thread_name_prefix="glr-decode")
        self._local = threading.local()

    def decode(self, plans: Iterator[BatchPlan]) -> Generator[tuple[BatchPlan, torch.Tensor]]:
        """Decode batch after batch, some ahead of what is taken.

        Yields:
            Each plan with its images.
        """
        ahead: deque[_Task] = deque()
        try:
            for plan in plans:
                ahead.append(self._start(plan))
                if len(ahead) > self._depth:
                    yield self._next(ahead)
            while ahead:
                yield self._next(ahead)
        finally:
            for task in ahead:
                for part in task.parts:
                    part.cancel()

    def close(self) -> None:
        """End the threads."""
        self._threads.shutdown(wait=True, cancel_futures=True)

    def _start(self, plan: BatchPlan) -> _Task:
        images = self._buffers.take(len(plan))
        out = images.numpy()
        with self._timings.span("source_s"):
            encoded = self._reader.encoded(plan.rows)
        parts = [
            self._threads.submit(self._decode_part, plan, encoded, out, first)
            for first in range(0, len(plan), _CHUNK)
        ]
        return _Task(plan, images, parts)

    def _next(self, ahead: deque[_Task]) -> tuple[BatchPlan, torch.Tensor]:
        done = self._finish(ahead.popleft())
        self._timings.ready = sum(all(part.done() for part in task.parts) for task in ahead)
        return done

    def _finish(self, task: _Task) -> tuple[BatchPlan, torch.Tensor]:
        for part in task.parts:
            part.result()
        return task.plan, task.images

    def _decode_part(
        self, plan: BatchPlan, encoded: list[np.ndarray], out: np.ndarray, first: int
    ) -> None:
        decoder = self._decoder()
        clock, decoding, started = time.perf_counter, 0.0, time.perf_counter()
        for i in range(first, min(first + _CHUNK, len(plan))):
            before = clock()
            crop = decode_region(decoder, encoded[i], plan.edits.boxes[i])
            if crop is None:
                crop = self._replace(decoder, plan, i)
            decoding += clock() - before
            resize_antialiased(crop, out[i])
            if plan.edits.flips[i]:
                cv2.flip(out[i], 1, dst=out[i])
            if plan.edits.colors is not None:
                cv2.transform(out[i], color_matrices(plan.edits.colors[i : i + 1])[0], dst=out[i])
        self._timings.add(decode_s=decoding, resize_s=clock() - started - decoding)

    def _replace(self, decoder: nvimgcodec.Decoder, plan: BatchPlan, index: int) -> np.ndarray:
        """The crop of what stands in for a bad photo; a grey pixel where nothing does."""

        def attempt(row: int, box: np.ndarray) -> np.ndarray | None:
            return decode_region(decoder, self._reader.encoded(np.array([row]))[0], box)

        crop = self._bad_photos.stand_in(plan, index, attempt)
        return np.full((1, 1, 3), 128, np.uint8) if crop is None else crop

    def _decoder(self) -> nvimgcodec.Decoder:
        """This thread's decoder: one each, so that none waits for another."""
        decoder = getattr(self._local, "decoder", None)
        if decoder is None:
            decoder = self._local.decoder = make_decoder()
        return decoder


class BufferPool:
    """Arrays for batches that come back by themselves when the last tensor over them is gone.

    Memory fresh from the system costs a page fault every 4 KiB; a reused array costs none.
    """

    def __init__(self, shape: tuple[int, ...]) -> None:
        self._shape = shape
        self._free: deque[np.ndarray] = deque()

    def take(self, count: int) -> torch.Tensor:
        """A tensor of ``count`` entries of the pool's shape, contents undefined, uint8."""
        try:
            whole = self._free.pop()
        except IndexError:
            whole = np.empty(self._shape, np.uint8)
        part = whole[:count]
        weakref.finalize(part, self._free.append, whole)
        return torch.from_numpy(part)


class PinnedBuffers:
    """Page-locked tensors for batches.

    PyTorch keeps them for the next batch by itself, and only when the GPU has read the last one: a
    pool of ours would hand out a buffer that is still being copied.
    """

    def __init__(self, shape: tuple[int, ...]) -> None:
        self._shape = shape

    def take(self, count: int) -> torch.Tensor:
        """A tensor of ``count`` entries, contents undefined, uint8."""
        return torch.empty((count, *self._shape[1:]), dtype=torch.uint8, pin_memory=True)
