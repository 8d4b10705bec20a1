"""Ours with its default backend on a machine with no GPU."""

from __future__ import annotations

from collections.abc import Iterator

import torch

from benchmarks.peers import Job
from glr_fast.data import LoaderOptions, open_loader
from glr_fast.loader_options import BackendName, DecoderOptions

TITLE = "glr-fast, `cpu` backend (default)"


def prepare(job: Job) -> None:
    """Reads the store itself."""


def batches(job: Job, backend: BackendName = "cpu") -> Iterator[torch.Tensor]:
    """Images of shape (batch, 3, size, size), uint8, channels last in memory."""
    options = LoaderOptions(
        batch_size=job.batch_size,
        image_size=job.image_size,
        threads=job.workers,
        backend=backend,
        decoder=DecoderOptions(queue_depth=job.prefetch),
    )
    loader = open_loader(job.store, "train", options)
    for batch in loader.stream():
        yield batch.images
