"""Opens a split of a store: plan, shards, decoder, put together as a loader."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Literal, get_args

import torch

from glr_fast.data.augment import Augmentation
from glr_fast.data.backends.base import Backend, Supply
from glr_fast.data.bad_photos import Health
from glr_fast.data.loader import Loader, Output
from glr_fast.data.plan import Plan, Rank, Remainder, Samples
from glr_fast.data.shard_cache import ShardCache
from glr_fast.data.shard_reader import PhotoSource
from glr_fast.data.watchdog import Watchdog
from shard_tools.errors import StoreError
from shard_tools.store.epoch_index import EpochIndex
from shard_tools.store.store import Store
from tests.helpers.reference import ReferenceBackend

BackendName = Literal["auto", "dali", "cpu", "reference"]

BACKENDS: tuple[BackendName, ...] = get_args(BackendName)


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
        from glr_fast.data.backends.dali import DaliBackend

        return DaliBackend(
            supply,
            plan.local_batch_size,
            image_size,
            device,
            threads,
            colors=plan.augmentation is not None and plan.augmentation.color > 0,
        )
    if name == "cpu":
        from glr_fast.data.backends.cpu import CpuBackend

        return CpuBackend(supply, plan.local_batch_size, image_size, threads)
    return ReferenceBackend(supply.source, image_size)
