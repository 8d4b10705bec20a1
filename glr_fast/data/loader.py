"""The loader: plan + source + backend. What a training loop sees."""

from __future__ import annotations

import os
import weakref
from collections.abc import Generator, Iterator
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Literal, Protocol, Self, get_args

import numpy as np
import torch

from glr_fast.data.health import Health
from glr_fast.data.plan import Augmentation, BatchPlan, Plan, Rank, Remainder, Samples
from glr_fast.data.reference import ReferenceBackend
from glr_fast.data.source import PhotoSource
from shard_tools.format import Store, StoreError

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
        source: PhotoSource,
        health: Health,
        backend: Backend,
        device: torch.device,
        output: Output,
    ) -> None:
        self.plan = plan
        self.device = device
        self.health = health
        self._source = source
        self._backend = backend
        self._output = output
        self._current: Generator[Batch] | None = None
        # Also where nobody calls close: a pipeline must be gone before DALI itself is, at exit.
        self._free = weakref.finalize(self, _free, backend, source)

    @property
    def steps_per_epoch(self) -> int:
        """Batches of an epoch: the same on every rank."""
        return self.plan.steps_per_epoch

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
            for plan, images in decoded:
                images = images.to(self.device, non_blocking=True).permute(0, 3, 1, 2)
                if self._output == "float32":
                    images = normalise(images)
                labels = torch.from_numpy(plan.labels).to(self.device, non_blocking=True)
                yield Batch(images, labels, plan.rows, plan.valid)

    def _plans(self, first: int, last: int | None) -> Iterator[BatchPlan]:
        step = first
        while last is None or step < last:
            yield self.plan.batch(step)
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
    backend: BackendName = "auto",
    bad_samples: Path | None = None,
    max_bad_samples: int = 1000,
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
        backend: ``dali`` (GPU or CPU), ``cpu`` (libjpeg-turbo and OpenCV in threads),
            ``reference`` (PIL: slow, exact); ``auto`` is ``dali`` on a GPU, else ``cpu``.
        bad_samples: CSV file that photos are listed in that went bad after the build.
        max_bad_samples: most of those before the loader gives up.

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
    )
    source = PhotoSource(store, split)
    device = torch.device(device)
    health = Health(store, plan, bad_samples, max_bad_samples)
    made = _open_backend(
        backend, source, health, plan, image_size, device, threads or usable_cores()
    )
    return Loader(plan, source, health, made, device, output)


def _free(backend: Backend, source: PhotoSource) -> None:
    backend.close()
    source.close()


def usable_cores() -> int:
    """CPU cores that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def _open_backend(
    name: BackendName,
    source: PhotoSource,
    health: Health,
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

        return DaliBackend(source, health, plan.local_batch_size, image_size, device, threads)
    if name == "cpu":
        from glr_fast.data.cpu import CpuBackend

        return CpuBackend(source, health, plan.local_batch_size, image_size, threads)
    return ReferenceBackend(source, image_size)
