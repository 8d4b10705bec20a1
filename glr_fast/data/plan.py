"""The plan: which photos, crops and flips make up every batch of a run.

Pure numpy, no photo is opened. A batch is a function of (samples, policy, seed, step): nothing
else in the system draws a random number for data. Global batch ``k`` of an epoch is
``order[k * G : (k + 1) * G]``; each rank takes its contiguous share of it.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Literal

import numpy as np

from glr_fast.data import crops
from shard_tools.balance import epoch_order, stream_key
from shard_tools.format import Store, StoreError
from shard_tools.policies import parse_policy

Remainder = Literal["drop", "pad"]

_AUGMENT = 16  # purpose of the random stream that crops and flips come from


@dataclass(frozen=True)
class Rank:
    """One process among those that share every batch."""

    index: int = 0
    world_size: int = 1

    def __post_init__(self) -> None:
        if not 0 <= self.index < self.world_size:
            raise ValueError(f"rank {self.index} of {self.world_size} processes")


@dataclass(frozen=True)
class Samples:
    """What the plan knows of a split: one entry per photo, in the order of the samples table."""

    first_row: int
    """Row of the samples table where the split begins."""
    labels: np.ndarray
    """Shape (photos,), int64."""
    widths: np.ndarray
    """Pixels. Shape (photos,), int64."""
    heights: np.ndarray
    """Pixels. Shape (photos,), int64."""

    def __len__(self) -> int:
        return len(self.labels)

    @classmethod
    def of_split(cls, store: Store, split: str) -> Samples:
        """Read a split of a store.

        Raises:
            StoreError: no photo in the split.
        """
        rows = store.split_rows(split)
        if not rows:
            raise StoreError(
                f"{store.path}: no photo in split {split!r}; build with other --splits"
            )
        table = store.samples(["label", "width", "height"]).slice(rows.start, len(rows))
        label, width, height = (c.to_numpy().astype(np.int64) for c in table.columns)
        return cls(rows.start, label, width, height)


@dataclass(frozen=True)
class Augmentation:
    """Random crops and flips of training photos."""

    scale: tuple[float, float] = (0.25, 1.0)
    """Share of the photo's area that a crop covers, least and most."""
    ratio: tuple[float, float] = (3 / 4, 4 / 3)
    """Width over height of a crop, least and most."""
    flip: float = 0.5
    """Probability of a left-right flip."""


@dataclass(frozen=True)
class BatchPlan:
    """One rank's share of one batch: what the decoder is to do."""

    step: int
    """Global step, counted over epochs."""
    rows: np.ndarray
    """Rows of the samples table. Shape (batch,), int64."""
    labels: np.ndarray
    """Shape (batch,), int64."""
    boxes: np.ndarray
    """Crops in pixels: top, left, height, width. Shape (batch, 4), int32."""
    flips: np.ndarray
    """Left-right flip of each photo after its crop. Shape (batch,), bool."""
    valid: int
    """Leading photos that count. Less than the batch only in evaluation, where the last batch is
    filled up so that every rank has as many batches."""

    def __len__(self) -> int:
        return len(self.rows)


@dataclass(frozen=True)
class Plan:
    """The plan of a split for one rank.

    Training (``augmentation`` given): random crops. The photos that do not fill the last global
    batch of an epoch are left out with ``remainder="drop"`` (other ones each epoch) or the batch
    is filled with the first photos of the same epoch's order with ``"pad"``.

    Evaluation (``augmentation`` None): natural rows in the order of the table, a centre crop, each
    photo counted exactly once over all ranks, as many batches on every rank.

    Raises:
        StoreError: unknown policy, a batch that the processes cannot share equally or that is
            larger than the training split.
    """

    samples: Samples
    batch_size: int
    """Photos of a global batch, over all ranks."""
    rank: Rank = field(default_factory=Rank)
    policy: str = "natural"
    seed: int = 0
    augmentation: Augmentation | None = field(default_factory=Augmentation)
    remainder: Remainder = "drop"
    centre: float = 0.875
    """Evaluation: side of the centre crop over the photo's shorter side (224 of 256)."""

    def __post_init__(self) -> None:
        parse_policy(self.policy)
        if self.batch_size < 1 or self.batch_size % self.rank.world_size:
            raise StoreError(
                f"batch size {self.batch_size} cannot be shared equally by "
                f"{self.rank.world_size} processes; choose a multiple of {self.rank.world_size}"
            )
        if self.training and self.batch_size > len(self.samples):
            raise StoreError(
                f"batch size {self.batch_size} is larger than the split, which has "
                f"{len(self.samples)} photos; choose a smaller one"
            )

    @property
    def training(self) -> bool:
        """Whether photos are drawn by the policy and augmented."""
        return self.augmentation is not None

    @property
    def local_batch_size(self) -> int:
        """Photos of a batch on each rank, at most."""
        return self.batch_size // self.rank.world_size

    @property
    def steps_per_epoch(self) -> int:
        """Batches of an epoch: the same on every rank."""
        if self.training and self.remainder == "drop":
            return len(self.samples) // self.batch_size
        return -(-len(self.samples) // self.batch_size)

    def order(self, epoch: int) -> np.ndarray:
        """Positions in the split, in the order of an epoch. Shape (photos,), int64."""
        if not self.training:
            return np.arange(len(self.samples))
        return _cached_order(_Labels(self.samples.labels), self.policy, self.seed, epoch)

    def batch(self, step: int) -> BatchPlan:
        """This rank's share of the batch at a global step (counted from 0 over epochs)."""
        epoch, index = divmod(step, self.steps_per_epoch)
        return self._training_batch(step, epoch, index) if self.training else self._eval_batch(step)

    def replacements(
        self, batch: BatchPlan, index: int, most: int
    ) -> Iterator[tuple[int, np.ndarray]]:
        """What may stand in for a photo that cannot be decoded: the next ones of its class.

        A function of the plan alone, like everything here; empty in evaluation.

        Args:
            batch: a batch of this plan.
            index: which of its photos.
            most: how many to offer.

        Yields:
            Row of the samples table, and the box that the same random numbers give there.
        """
        if not self.training:
            return
        epoch, step = divmod(batch.step, self.steps_per_epoch)
        place = step * self.batch_size + self.rank.index * self.local_batch_size + index
        same = np.flatnonzero(self.samples.labels == batch.labels[index])
        position = int(batch.rows[index]) - self.samples.first_row
        after = np.roll(same, -int(np.searchsorted(same, position, "right")))
        for other in after[after != position][:most]:
            boxes, _ = self._augment(np.array([other]), epoch, place)
            yield int(other) + self.samples.first_row, boxes[0]

    def _training_batch(self, step: int, epoch: int, index: int) -> BatchPlan:
        size = self.local_batch_size
        first = index * self.batch_size + self.rank.index * size
        place = np.arange(first, first + size)
        positions = self.order(epoch)[place % len(self.samples)]
        boxes, flips = self._augment(positions, epoch, first)
        return self._describe(step, positions, boxes, flips, valid=size)

    def _eval_batch(self, step: int) -> BatchPlan:
        first = step % self.steps_per_epoch * self.batch_size
        rest = min(self.batch_size, len(self.samples) - first)
        size = -(-rest // self.rank.world_size)
        offset = self.rank.index * size
        place = np.minimum(offset + np.arange(size), rest - 1)
        positions = first + place
        samples = self.samples
        boxes = crops.centre_crop(
            samples.widths[positions], samples.heights[positions], self.centre
        )
        valid = min(max(rest - offset, 0), size)
        return self._describe(step, positions, boxes, np.zeros(size, bool), valid)

    def _augment(
        self, positions: np.ndarray, epoch: int, first: int
    ) -> tuple[np.ndarray, np.ndarray]:
        """Crops and flips of the photos at places ``first`` onwards of an epoch's order."""
        assert self.augmentation is not None
        draws = place_uniforms(self.seed, epoch, first, len(positions))
        boxes = crops.random_resized_crop(
            draws[:, : crops.DRAWS],
            self.samples.widths[positions],
            self.samples.heights[positions],
            self.augmentation.scale,
            self.augmentation.ratio,
        )
        return boxes, draws[:, crops.DRAWS] < self.augmentation.flip

    def _describe(
        self, step: int, positions: np.ndarray, boxes: np.ndarray, flips: np.ndarray, valid: int
    ) -> BatchPlan:
        rows = positions + self.samples.first_row
        return BatchPlan(step, rows, self.samples.labels[positions], boxes, flips, valid)


#: Uniform numbers that belong to each place of an epoch: crop, flip, and room for what comes.
DRAWS_PER_PLACE = 32
_DRAWS_PER_COUNT = 4  # a Philox counter gives four 64-bit numbers


def place_uniforms(seed: int, epoch: int, first: int, count: int) -> np.ndarray:
    """The uniform numbers of ``count`` places from place ``first`` on of an epoch.

    Each place owns its own stretch of the counter, so any slice can be had without what comes
    before it: what makes batches independent of the world size and of where a run resumes.

    Returns:
        Numbers in [0, 1). Shape (count, DRAWS_PER_PLACE), float64.
    """
    counter = first * (DRAWS_PER_PLACE // _DRAWS_PER_COUNT)
    stream = np.random.Philox(key=stream_key(seed, _AUGMENT, epoch), counter=counter)
    return np.random.Generator(stream).random((count, DRAWS_PER_PLACE))


class _Labels:
    """Wraps a label array so that an order can be cached by the array's identity."""

    def __init__(self, array: np.ndarray) -> None:
        self.array = array

    def __hash__(self) -> int:
        return id(self.array)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, _Labels) and other.array is self.array


@lru_cache(maxsize=4)
def _cached_order(labels: _Labels, policy: str, seed: int, epoch: int) -> np.ndarray:
    order = epoch_order(labels.array, policy, seed, epoch)
    order.setflags(write=False)
    return order
