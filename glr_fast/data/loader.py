"""The loader: plan + source + backend. What a training loop sees."""

from __future__ import annotations

import os
import weakref
from collections.abc import Generator, Iterator
from contextlib import closing
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from types import TracebackType
from typing import Literal, Protocol, Self, get_args

import numpy as np
import torch

from glr_fast.data.ahead import ReadAhead
from glr_fast.data.augment import Augmentation
from glr_fast.data.cache import ShardCache
from glr_fast.data.health import Health
from glr_fast.data.plan import BatchPlan, Plan, Rank, Remainder, Samples
from glr_fast.data.reference import ReferenceBackend
from glr_fast.data.source import PhotoSource
from glr_fast.data.supply import Supply, Watchdog
from shard_tools.errors import StoreError
from shard_tools.store.epoch_index import EpochIndex
from shard_tools.store.store import Store

BackendName = Literal["auto", "dali", "cpu", "reference"]
BACKENDS: tuple[BackendName, ...] = get_args(BackendName)
Output = Literal["uint8", "float32"]

IMAGENET_MEAN = (0.485, 0.456, 0.406)
IMAGENET_STD = (0.229, 0.224, 0.225)


class Backend(Protocol):
    """What decodes: from batch plans to (batch, size, size, 3) uint8 images, in order."""

    def decode(self, plans: Iterator[BatchPlan]) -> Generator[tuple[BatchPlan, torch.Tensor]]:
        """Yield each plan with its images."""
        ...

    def close(self) -> None:
        """Free what it holds."""
        ...


@dataclass(frozen=True)
class Batch:
    """One rank's share of a batch."""

    images: torch.Tensor
    """Shape (batch, 3, size, size), uint8 or normalised float32, channels-last in memory, on the
    loader's device."""
    labels: torch.Tensor
    """Shape (batch,), int64, on the loader's device."""
    rows: np.ndarray
    """Rows of the store's samples table. Shape (batch,), int64."""
    valid: int
    """Leading photos that count; fewer than the batch only at the end of an evaluation, even 0."""


def normalise(
    images: torch.Tensor,
    mean: tuple[float, ...] = IMAGENET_MEAN,
    std: tuple[float, ...] = IMAGENET_STD,
) -> torch.Tensor:
    """Images as a network takes them: ``(x / 255 - mean) / std`` per channel.

    Args:
        images: shape (batch, 3, height, width), uint8.
        mean: of each channel, on the scale 0 to 1.
        std: of each channel, on the scale 0 to 1.

    Returns:
        float32, same shape, device and memory format.
    """
    scale = torch.tensor([1 / (255 * s) for s in std], device=images.device).view(1, -1, 1, 1)
    shift = torch.tensor([-m / s for m, s in zip(mean, std, strict=True)], device=images.device)
    return torch.addcmul(shift.view(1, -1, 1, 1), images.float(), scale)


class Loader:
    """Batches of a split, by global step. Make one with :func:`open_loader`."""

    def __init__(
        self,
        plan: Plan,
        supply: Supply,
        backend: Backend,
        device: torch.device,
        output: Output,
    ) -> None:
        self.plan = plan
        self.device = device
        self.health = supply.health
        self._source = supply.source
        self._timings = supply.timings
        self._watchdog = Watchdog()
        self._ahead = ReadAhead(plan, supply.source)
        self._backend = backend
        self._output = output
        self._current: Generator[Batch] | None = None
        # Also where nobody calls close: a pipeline must be gone before DALI itself is, at exit.
        self._free = weakref.finalize(self, _free, backend, supply.source, self._watchdog)

    @property
    def steps_per_epoch(self) -> int:
        """Batches of an epoch: the same on every rank."""
        return self.plan.steps_per_epoch

    @property
    def timings(self) -> dict[str, float]:
        """Where the time went so far: the fields of :class:`glr_fast.data.supply.Timings`."""
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
        with closing(self._backend.decode(self._plans(first, last))) as decoded:
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
        return f"batch {step}: {self._source.doing}"

    def _batch(self, plan: BatchPlan, images: torch.Tensor) -> Batch:
        images = images.to(self.device, non_blocking=True).permute(0, 3, 1, 2)
        if self._output == "float32":
            images = normalise(images)
        labels = torch.from_numpy(plan.labels).to(self.device, non_blocking=True)
        return Batch(images, labels, plan.rows, plan.valid)

    def _plans(self, first: int, last: int | None) -> Iterator[BatchPlan]:
        step = first
        while last is None or step < last:
            with self._timings.span("source_s"):
                self._ahead.look(step, last)
                plan = self.plan.batch(step)
            yield plan
            step += 1


def open_loader(
    store: Store | Path | str,
    split: str,
    *,
    policy: str = "natural",
    seed: int = 0,
    rank: Rank | None = None,
    batch_size: int = 64,
    device: torch.device | str = "cpu",
    image_size: int = 224,
    train: bool | None = None,
    augmentation: Augmentation | None = None,
    output: Output = "uint8",
    threads: int | None = None,
    remainder: Remainder = "drop",
    shuffle_window: int = 0,
    index: str | None = None,
    backend: BackendName = "auto",
    bad_samples: Path | None = None,
    max_bad_samples: int = 1000,
    cache: Path | None = None,
    cache_gib: float = 50.0,
) -> Loader:
    """Open a split of a store for training or evaluation.

    Args:
        store: a store or its folder.
        split: ``train``, ``val`` or ``test``.
        policy: how an epoch draws its photos: ``natural`` (each once) or ``balanced``.
        seed: the whole stream of batches is a function of it.
        rank: this process among those that share each batch.
        batch_size: photos of a global batch; each rank gets its equal share.
        device: where the images are to be; a CUDA device decodes on the GPU.
        image_size: side of the square images, pixels.
        train: random crops by the policy (default for ``train``) or a centre crop in table order.
        augmentation: crops and flips in training.
        output: ``uint8`` pixels, or ``float32`` normalised by ImageNet's mean and deviation.
        threads: CPU threads that decode; default: the cores this process may use.
        remainder: what happens to the photos that do not fill an epoch's last global batch:
            ``drop`` leaves them out (other ones each epoch), ``pad`` fills the batch up.
        shuffle_window: shards that are read and mixed at a time, for a store that is larger than
            the memory or far away; 0 mixes the whole split.
        index: name of an index that ``glr-shard index`` wrote: its epochs in place of policy and
            seed, from the first again after the last.
        backend: ``dali`` (GPU or CPU), ``cpu`` (libjpeg-turbo and OpenCV in threads),
            ``reference`` (PIL: slow, exact); ``auto`` is ``dali`` on a GPU, else ``cpu``.
        bad_samples: CSV file that photos are listed in that went bad after the build.
        max_bad_samples: most of those before the loader gives up.
        cache: folder for copies of a remote store's shards, which processes and runs may share;
            default ``~/.cache/glr-fast``.
        cache_gib: most that folder should hold, in GiB.

    Raises:
        StoreError: no such store or split, a batch that the processes cannot share or that is
            larger than the training split, unknown policy.
    """
    store = store if isinstance(store, Store) else Store.open(store)
    train = split == "train" if train is None else train
    plan = Plan(
        Samples.of_split(store, split),
        batch_size,
        rank or Rank(),
        policy,
        seed,
        (augmentation or Augmentation()) if train else None,
        remainder,
        shuffle_window if train else 0,
        EpochIndex.open(store, index, split) if index and train else None,
    )
    source = PhotoSource(store, split, _open_cache(store, cache, cache_gib))
    device = torch.device(device)
    supply = Supply(source, Health(store, plan, bad_samples, max_bad_samples))
    made = _open_backend(backend, supply, plan, image_size, device, threads or usable_cores())
    return Loader(plan, supply, made, device, output)


def _free(backend: Backend, source: PhotoSource, watchdog: Watchdog) -> None:
    backend.close()
    source.close()
    watchdog.close()


def usable_cores() -> int:
    """CPU cores that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def _open_cache(store: Store, folder: Path | None, gib: float) -> ShardCache | None:
    if not store.remote:
        return None
    folder = folder or Path.home() / ".cache" / "glr-fast"
    return ShardCache(store, folder, int(gib * 2**30))


def _open_backend(
    name: BackendName,
    supply: Supply,
    plan: Plan,
    image_size: int,
    device: torch.device,
    threads: int,
) -> Backend:
    if name not in BACKENDS:
        raise StoreError(f"unknown backend {name!r}; there are {', '.join(BACKENDS)}")
    if name == "auto":
        name = "dali" if device.type == "cuda" else "cpu"
    # Imported here: DALI and nvImageCodec take a second each, and only one is needed.
    if name == "dali":
        from glr_fast.data.dali import DaliBackend

        return DaliBackend(
            supply,
            plan.local_batch_size,
            image_size,
            device,
            threads,
            colors=plan.augmentation is not None and plan.augmentation.color > 0,
        )
    if name == "cpu":
        from glr_fast.data.cpu import CpuBackend

        return CpuBackend(supply, plan.local_batch_size, image_size, threads)
    return ReferenceBackend(supply.source, image_size)
