"""What every decoder backend is given, and what it must do."""

from __future__ import annotations

from collections.abc import Callable, Generator, Iterator
from dataclasses import dataclass, field
from typing import Protocol

import numpy as np
import torch

from glr_fast.data.bad_photos import BadPhotos, Found
from glr_fast.data.plan import BatchPlan
from glr_fast.data.shard_reader import ShardReader
from glr_fast.data.timings import Timings


class EncodedPhotos(Protocol):
    """Hands out encoded photos: those of a store, or any others."""

    def encoded(self, rows: np.ndarray) -> list[np.ndarray]:
        """The encoded photos of some rows: a uint8 array of shape (bytes,) for each."""
        ...


class StandIns(Protocol):
    """Says what is done about photos that cannot be decoded (``BadPhotos`` says it for a store)."""

    def is_bad(self, row: int) -> bool:
        """Whether a photo is known to be bad."""
        ...

    def stand_in(
        self, batch: BatchPlan, place: int, attempt: Callable[[int, np.ndarray], Found | None]
    ) -> Found | None:
        """Take note of a bad photo of a batch; what is shown in its place, None for grey."""
        ...


@dataclass(frozen=True)
class Supply:
    """What every backend draws on."""

    reader: EncodedPhotos
    """Encoded photos."""
    bad_photos: StandIns
    """Bad photos and what replaces them."""
    timings: Timings = field(default_factory=Timings)
    """Where the time goes."""


@dataclass(frozen=True)
class StoreSupply(Supply):
    """What a loader gives its backend: photos of a store."""

    reader: ShardReader
    bad_photos: BadPhotos


class Backend(Protocol):
    """What decodes: from batch plans to (batch, size, size, 3) uint8 images, in order."""

    def decode(self, plans: Iterator[BatchPlan]) -> Generator[tuple[BatchPlan, torch.Tensor]]:
        """Yield each plan with its images."""
        ...

    def close(self) -> None:
        """Free what it holds."""
        ...
