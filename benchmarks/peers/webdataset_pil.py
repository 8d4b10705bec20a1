"""The webdataset library and a DataLoader over the store's own tars: PIL decodes in workers."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import torch
from torch.utils.data import DataLoader
from webdataset.compat import WebDataset

from benchmarks.peers import AXES, Job
from benchmarks.peers.imagefolder_pil import pil_transform

TITLE = "webdataset + DataLoader (PIL)"
AXES = {**AXES, "shuffle": (512, 100, 0)}


def prepare(job: Job) -> None:
    """Reads the store's tars."""


def batches(job: Job) -> Iterator[torch.Tensor]:
    """Images of shape (batch, 3, size, size), uint8."""
    shards = [str(p) for p in sorted(job.store.glob("train-*.tar"))]
    dataset: Any = WebDataset(shards, shardshuffle=len(shards) if job.shuffle else False)
    dataset = dataset.repeat()
    if job.shuffle:
        dataset = dataset.shuffle(job.shuffle)
    dataset = dataset.decode("pil").to_tuple("jpg", "cls")
    dataset = dataset.map_tuple(pil_transform(job)).batched(job.batch_size, partial=False)
    loader = DataLoader(
        dataset, batch_size=None, num_workers=job.workers, prefetch_factor=job.prefetch
    )
    for images, _ in loader:
        yield images
