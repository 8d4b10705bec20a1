"""The webdataset library and a DataLoader over the store's own tars: PIL decodes in workers."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import torch
from torch.utils.data import DataLoader
from webdataset.compat import WebDataset

from benchmarks.peers import Job
from benchmarks.peers.imagefolder_pil import pil_transform

TITLE = "webdataset + DataLoader (PIL)"


def prepare(job: Job) -> None:
    """Reads the store's tars."""


def batches(job: Job) -> Iterator[torch.Tensor]:
    """Images of shape (batch, 3, size, size), uint8."""
    shards = [str(p) for p in sorted(job.store.glob("train-*.tar"))]
    dataset: Any = WebDataset(shards, resampled=True, shardshuffle=False)
    dataset = dataset.shuffle(512).decode("pil").to_tuple("jpg", "cls")
    dataset = dataset.map_tuple(pil_transform(job)).batched(job.batch_size, partial=False)
    loader = DataLoader(dataset, batch_size=None, num_workers=job.workers)
    for images, _ in loader:
        yield images
