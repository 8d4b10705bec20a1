"""Photos that no store holds, through the decoders of the loader: batches of encoded photos.

What the network sees of a photo is what it would see of the same bytes in a store: the centre crop
of evaluation, decoded and resized by the same backend.
"""

from __future__ import annotations

from collections.abc import Callable, Generator, Iterable, Iterator
from contextlib import closing
from dataclasses import dataclass
from itertools import islice

import numpy as np
import torch

from glr_fast.data import crops
from glr_fast.data.augment import Edits
from glr_fast.data.backends.base import Supply
from glr_fast.data.bad_photos import Found
from glr_fast.data.opening import open_backend
from glr_fast.data.plan import BatchPlan, Plan
from glr_fast.loader_options import LoaderOptions


@dataclass(frozen=True)
class EncodedPhoto:
    """A photo as a store would hold it."""

    row: int
    """The caller's number for it, unique."""
    data: bytes
    """Upright baseline JPEG."""
    width: int
    """Pixels."""
    height: int
    """Pixels."""


@dataclass(frozen=True)
class DecodedBatch:
    """Some photos as the network takes them."""

    photos: list[EncodedPhoto]
    """At most a batch."""
    images: torch.Tensor
    """Shape (batch size, 3, size, size), uint8, channels-last in memory, on the device. Always the
    whole batch size: what follows the photos is filling. So every batch is worked on by the same
    kernels, and a photo's answer does not depend on how many others came with it."""
    readable: np.ndarray
    """Which photos could be decoded; the images of the others are grey. Shape (photos,), bool."""


def decode_encoded(
    photos: Iterable[EncodedPhoto], options: LoaderOptions, device: torch.device
) -> Generator[DecodedBatch]:
    """Decode encoded photos, some batches ahead of what is taken.

    Args:
        photos: in the order in which they come out; taken as they are needed.
        options: batch size, image size, backend and threads.
        device: where the images go; a CUDA device decodes on the GPU.

    Yields:
        Batches of ``options.batch_size``; the last may hold fewer photos.
    """
    held = _Held()
    backend = open_backend(options, Supply(held, held), options.batch_size, device)
    plans = _plans(iter(photos), held, options.batch_size)
    try:
        with closing(backend.decode(plans)) as decoded:
            for plan, images in decoded:
                images = images.to(device, non_blocking=True).permute(0, 3, 1, 2)
                yield DecodedBatch(*held.release(plan, images))
    finally:
        backend.close()


class _Held:
    """The photos that the decoder works on, and which of them it could not decode."""

    def __init__(self) -> None:
        self._photos: dict[int, EncodedPhoto] = {}
        self._bad: set[int] = set()

    def hold(self, photos: list[EncodedPhoto]) -> None:
        """Keep photos until their batch is done."""
        self._photos |= {photo.row: photo for photo in photos}

    def encoded(self, rows: np.ndarray) -> list[np.ndarray]:
        """The bytes of photos that are held."""
        return [np.frombuffer(self._photos[row].data, np.uint8) for row in rows.tolist()]

    def is_bad(self, row: int) -> bool:
        """Whether a photo could not be decoded."""
        return row in self._bad

    def stand_in(
        self, batch: BatchPlan, place: int, attempt: Callable[[int, np.ndarray], Found | None]
    ) -> Found | None:
        """Take note of a bad photo. Nothing stands in for it."""
        self._bad.add(int(batch.rows[place]))
        return None

    def release(
        self, plan: BatchPlan, images: torch.Tensor
    ) -> tuple[list[EncodedPhoto], torch.Tensor, np.ndarray]:
        """Let go of a batch: its photos, their images, and which of them could be decoded."""
        photos = [self._photos.pop(row) for row in plan.rows[: plan.valid].tolist()]
        readable = np.array([photo.row not in self._bad for photo in photos], bool)
        self._bad.difference_update(photo.row for photo in photos)
        return photos, images, readable


def _plans(photos: Iterator[EncodedPhoto], held: _Held, size: int) -> Iterator[BatchPlan]:
    step = 0
    while batch := list(islice(photos, size)):
        held.hold(batch)
        filled = batch + batch[-1:] * (size - len(batch))
        widths, heights = (
            np.array([getattr(photo, side) for photo in filled]) for side in ("width", "height")
        )
        boxes = crops.centre_crop(widths, heights, Plan.centre)
        rows = np.array([photo.row for photo in filled])
        edits = Edits(boxes, np.zeros(size, bool))
        yield BatchPlan(step, rows, np.zeros(size, np.int64), edits, len(batch))
        step += 1
