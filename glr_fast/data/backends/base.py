"""What every decoder backend is given, and what it must do."""

from __future__ import annotations

from collections.abc import Generator, Iterator
from dataclasses import dataclass, field
from typing import Protocol

import torch

from glr_fast.data.bad_photos import BadPhotos
from glr_fast.data.plan import BatchPlan
from glr_fast.data.shard_reader import ShardReader
from glr_fast.data.timings import Timings


@dataclass(frozen=True)
class Supply:
    """What every backend draws on."""

    reader: ShardReader
    """Encoded photos."""
    bad_photos: BadPhotos
    """Bad photos and what replaces them."""
    timings: Timings = field(default_factory=Timings)
    """Where the time goes."""


class Backend(Protocol):
    """What decodes: from batch plans to (batch, size, size, 3) uint8 images, in order."""

    def decode(self, plans: Iterator[BatchPlan]) -> Generator[tuple[BatchPlan, torch.Tensor]]:
        """Yield each plan with its images."""
        ...

    def close(self) -> None:
        """Free what it holds."""
        ...
