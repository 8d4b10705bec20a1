"""The plan: which photos, crops and flips make up every batch of a run.

Pure numpy, no photo is opened. A batch is a function of (samples, policy, seed, step): nothing
else in the system draws a random number for data. Global batch ``k`` of an epoch is
``order[k * G : (k + 1) * G]``; each rank takes its contiguous share of it.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import cached_property

import numpy as np

from glr_fast.data import crops
from glr_fast.data.augment import DRAWS, Augmentation, Edits, rarity
from shard_tools.errors import StoreError
from shard_tools.sampling import Stream, epoch_order, parse_policy, stream_key, windowed
from shard_tools.store import EpochIndex, Store


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
    shards: np.ndarray
    """Number of the shard that holds the photo, in the order of the manifest from the split's first
    one. Shape (photos,), int64."""

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
        sizes = [shard.samples for shard in store.manifest.shards if shard.split == split]
        return cls(rows.start, label, width, height, np.repeat(np.arange(len(sizes)), sizes))


@dataclass(frozen=True)
class BatchPlan:
    """One rank's share of one batch: what the decoder is to do."""

    step: int
    """Global step, counted over epochs."""
    rows: np.ndarray
    """Rows of the samples table. Shape (batch,), int64."""
    labels: np.ndarray
    """Shape (batch,), int64."""
    edits: Edits
    """What is done to each photo."""
    valid: int
    """Leading photos that count. Less than the batch only in evaluation, where the last batch is
    filled up so that every rank has as many batches."""

    def __len__(self) -> int:
        return len(self.rows)


@dataclass(frozen=True)
class Plan:
    """The plan of a split for one rank.

    Training (``augmentation`` given): random crops. The photos that do not fill the last global
    batch of an epoch are left out, other ones each epoch.

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
    shuffle_window: int = 0
    """Training: shards that are read and mixed at a time; 0 mixes the whole split."""
    index: EpochIndex | None = None
    """Training: epoch orders that ``glr-shard index`` wrote, in place of policy and seed."""
    centre: float = 0.875
    """Evaluation: side of the centre crop over the photo's shorter side (224 of 256)."""

    def __post_init__(self) -> None:
        parse_policy(self.policy)
        if self.shuffle_window < 0:
            raise StoreError(f"shuffle window {self.shuffle_window}: give 0 or more shards")
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
        if self.training:
            return len(self.samples) // self.batch_size
        return -(-len(self.samples) // self.batch_size)

    def order(self, epoch: int) -> np.ndarray:
        """Positions in the split, in the order of an epoch. Shape (photos,), int64."""
        if not self.training:
            return np.arange(len(self.samples))
        if epoch not in self._orders:
            while len(self._orders) >= _ORDERS_KEPT:
                self._orders.pop(next(iter(self._orders)), None)
            self._orders[epoch] = self._training_order(epoch)
        return self._orders[epoch]

    def _training_order(self, epoch: int) -> np.ndarray:
        samples = self.samples
        if self.index is None:
            order = epoch_order(samples.labels, self.policy, self.seed, epoch)
        else:
            order = self.index.order(epoch) - samples.first_row
        if self.shuffle_window:
            order = windowed(order, samples.shards, self.shuffle_window, self.seed, epoch)
        order.setflags(write=False)
        return order

    @cached_property
    def _orders(self) -> dict[int, np.ndarray]:
        """The orders in use by epoch: that of the present one, and of the next while it is near."""
        return {}

    def rows(self, step: int) -> np.ndarray:
        """Rows of the samples table of this rank's share of a batch, without its crops.

        Shape (batch,), int64.
        """
        if not self.training:
            return self.batch(step).rows
        epoch, index = divmod(step, self.steps_per_epoch)
        return self._positions(epoch, index)[0] + self.samples.first_row

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
            edits = self._augment(np.array([other]), epoch, place)
            yield int(other) + self.samples.first_row, edits.boxes[0]

    def _training_batch(self, step: int, epoch: int, index: int) -> BatchPlan:
        positions, first = self._positions(epoch, index)
        edits = self._augment(positions, epoch, first)
        return self._describe(step, positions, edits, valid=len(positions))

    def _positions(self, epoch: int, index: int) -> tuple[np.ndarray, int]:
        """This rank's positions in a batch of an epoch, and the place of the first in its order."""
        size = self.local_batch_size
        first = index * self.batch_size + self.rank.index * size
        place = np.arange(first, first + size)
        return self.order(epoch)[place % len(self.samples)], first

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
        return self._describe(step, positions, Edits(boxes, np.zeros(size, bool)), valid)

    def _augment(self, positions: np.ndarray, epoch: int, first: int) -> Edits:
        """The edits of photos, at places ``first`` onwards of an epoch's order."""
        assert self.augmentation is not None
        draws = place_uniforms(self.seed, epoch, first, len(positions))
        samples = self.samples
        return self.augmentation.draw(
            draws,
            samples.widths[positions],
            samples.heights[positions],
            self._rarity[samples.labels[positions]],
        )

    @cached_property
    def _rarity(self) -> np.ndarray:
        return rarity(np.bincount(self.samples.labels))

    def _describe(self, step: int, positions: np.ndarray, edits: Edits, valid: int) -> BatchPlan:
        rows, labels = positions + self.samples.first_row, self.samples.labels[positions]
        return BatchPlan(step, rows, labels, edits, valid)


_ORDERS_KEPT = 2
#: Uniform numbers that each place of an epoch takes from one stretch of the random stream. It is
#: part of what "same seed, same crops" means: another number would shift those of every place.
_DRAWS_PER_STRETCH = 32
_STRETCHES = -(-DRAWS // _DRAWS_PER_STRETCH)
DRAWS_PER_PLACE = _STRETCHES * _DRAWS_PER_STRETCH
"""Uniform numbers that belong to each place: at least ``augment.DRAWS``."""
_DRAWS_PER_COUNT = 4  # a Philox counter gives four 64-bit numbers


def place_uniforms(seed: int, epoch: int, first: int, count: int) -> np.ndarray:
    """The uniform numbers of ``count`` places from place ``first`` on of an epoch.

    Each place owns its own stretch of the counter, so any slice can be had without what comes
    before it: what makes batches independent of the world size and of where a run resumes. A new
    edit that needs more numbers gets them from a further stretch, which begins 2^64 counts after
    the one before it, so those of the other edits stay as they are.

    Returns:
        Numbers in [0, 1). Shape (count, DRAWS_PER_PLACE), float64.
    """
    key = stream_key(seed, Stream.AUGMENT, epoch)
    counter = first * (_DRAWS_PER_STRETCH // _DRAWS_PER_COUNT)
    stretches = [
        np.random.Generator(np.random.Philox(key=key, counter=counter + (number << 64))).random(
            (count, _DRAWS_PER_STRETCH)
        )
        for number in range(_STRETCHES)
    ]
    return np.concatenate(stretches, axis=1)
