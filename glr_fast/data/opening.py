"""Opens a split of a store: plan, shards, decoder, put together as a loader."""

from __future__ import annotations

import os
from dataclasses import replace
from pathlib import Path

import torch

from glr_fast.data.augment import Augmentation
from glr_fast.data.backends.background import Background
from glr_fast.data.backends.base import Backend, StoreSupply, Supply
from glr_fast.data.bad_photos import BadPhotos
from glr_fast.data.loader import Loader, Output
from glr_fast.data.plan import Plan, Rank, Samples
from glr_fast.data.shard_cache import ShardCache
from glr_fast.data.shard_reader import ShardReader
from glr_fast.loader_options import LoaderOptions, ReadingOptions
from glr_fast.nvjpeg import warn_of_other_nvjpeg
from shard_tools.store import EpochIndex, Store


def open_loader(
    store: Store | Path | str,
    split: str,
    options: LoaderOptions | None = None,
    *,
    seed: int = 0,
    rank: Rank | None = None,
    device: torch.device | str = "cpu",
    train: bool | None = None,
    output: Output = "uint8",
    bad_samples: Path | None = None,
) -> Loader:
    """Open a split of a store for training or evaluation.

    Args:
        store: a store, its folder or its URL.
        split: ``train``, ``val`` or ``test``.
        options: which photos are drawn, and what is done to them; None takes the defaults.
        seed: the whole stream of batches is a function of it.
        rank: this process among those that share each batch.
        device: where the images go; a CUDA device decodes on the GPU.
        train: draw by the policy and augment (default for ``train``), or show every photo once in
            the order of the table, cropped to its centre.
        output: ``uint8`` pixels, or ``float32`` normalised by ImageNet's mean and deviation.
        bad_samples: CSV file that lists photos which went bad after the build.

    Raises:
        StoreError: no such store or split, unknown policy, a batch that the processes cannot share
            or that is larger than the training split.
    """
    options = options or LoaderOptions()
    store = store if isinstance(store, Store) else Store.open(store)
    store.check_shards(split)
    train = split == "train" if train is None else train
    plan = Plan(
        Samples.of_split(store, split),
        options.batch_size,
        rank or Rank(),
        options.policy if train else "natural",
        seed,
        Augmentation.of(options) if train else None,
        options.shuffle_window if train else 0,
        EpochIndex.open(store, options.index, split) if options.index and train else None,
    )
    device = torch.device(device)
    bad_photos = BadPhotos(store, plan, bad_samples, options.max_bad_samples)
    supply = StoreSupply(ShardReader(store, split, _open_cache(store, options)), bad_photos)
    colors = plan.augmentation is not None and plan.augmentation.color > 0
    if not train:  # beside the training loader, which has reserved its own already
        unreserved = replace(options.decoder, pinned_mib=0, device_mib=0, preallocate=False)
        options = replace(options, decoder=unreserved)
    largest = _largest(plan.samples)
    backend = open_backend(options, supply, plan.local_batch_size, device, colors, largest)
    return Loader(plan, supply, backend, device, output)


def usable_cores() -> int:
    """CPU cores that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def uses_dali(options: ReadingOptions, device: torch.device) -> bool:
    """Whether DALI decodes, or the ``cpu`` backend."""
    return options.backend == "dali" or (options.backend == "auto" and device.type == "cuda")


def decoding_threads(options: ReadingOptions, device: torch.device) -> int:
    """Threads that decode in this process: those asked for, or its share of the machine's cores.

    ``accelerate launch`` and ``torchrun`` say in ``LOCAL_WORLD_SIZE`` how many processes they have
    started here. Each of them may use all cores, so together they would start as many threads for
    each core as there are processes.

    Where DALI decodes on a GPU, two cores are left for those that launch the model's kernels, and
    eight threads are enough: they spin while they wait for the GPU, and 16 of them on 16 cores were
    slower than 8 (benchmarks/results/gpu.md).
    """
    if options.threads is not None:
        return options.threads
    said = os.environ.get("LOCAL_WORLD_SIZE", "1")
    processes = int(said) if said.isdecimal() else 1
    share = max(1, usable_cores() // max(1, processes))
    if device.type == "cuda" and uses_dali(options, device):
        return max(1, min(8, share - 2))
    return share


def batches_ahead(options: ReadingOptions, device: torch.device) -> int:
    """Batches that are worked on ahead of the one handed out: as asked for, else 2, on a GPU 4.

    There a batch that takes three times as long as others, which is seen, is not waited for.
    """
    return options.decoder.queue_depth or (4 if device.type == "cuda" else 2)


def _largest(samples: Samples) -> tuple[int, int]:
    """Width and height that no photo exceeds, in pixels."""
    return int(samples.widths.max(initial=0)), int(samples.heights.max(initial=0))


def _open_cache(store: Store, options: LoaderOptions) -> ShardCache | None:
    if not store.remote:
        return None
    folder = options.cache or Path.home() / ".cache" / "glr-fast"
    return ShardCache(store, folder, int(options.cache_gib * 2**30))


def open_backend(
    options: LoaderOptions,
    supply: Supply,
    batch_size: int,
    device: torch.device,
    colors: bool = False,
    largest: tuple[int, int] | None = None,
) -> Backend:
    """The decoder that the options ask for.

    Its module is imported here: DALI and nvImageCodec take a second each, and one is enough.

    Args:
        options: backend, threads, the decoder's tuning and image size.
        supply: encoded photos, and what replaces bad ones.
        batch_size: most photos of a batch on this process.
        device: where the images go; a CUDA device decodes on the GPU.
        colors: whether the plans change colours.
        largest: width and height that no photo exceeds, in pixels; None where that is not known.
    """
    threads = decoding_threads(options, device)
    tuning = replace(options.decoder, queue_depth=batches_ahead(options, device))
    size = batch_size, options.image_size
    if uses_dali(options, device):
        if device.type == "cuda":
            warn_of_other_nvjpeg()
        from glr_fast.data.backends.dali import DaliBackend

        backend: Backend = DaliBackend(supply, *size, device, threads, colors, tuning, largest)
    else:
        from glr_fast.data.backends.cpu import CpuBackend

        pinned = device.type == "cuda"  # so that the copy to the GPU need not be waited for
        backend = CpuBackend(supply, *size, threads, batches_ahead(options, device), pinned)
    return Background(backend, supply.timings, device) if device.type == "cuda" else backend
