"""Mosaic Streaming over MDS shards of the same bytes, in a DataLoader; PIL decodes."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import torch
from streaming import MDSWriter, StreamingDataset  # pyright: ignore[reportMissingImports]
from streaming.base.util import clean_stale_shared_memory  # pyright: ignore[reportMissingImports]
from torch.utils.data import DataLoader

from benchmarks.peers import Job
from benchmarks.peers.image_files import labelled_files, once
from benchmarks.peers.imagefolder_pil import pil_transform

TITLE = "Mosaic Streaming + DataLoader (PIL)"


class Photos(StreamingDataset):
    """Crops of the stored photos."""

    def __init__(self, job: Job) -> None:
        super().__init__(local=str(job.work / "mosaic"), shuffle=True, batch_size=job.batch_size)
        self._transform = pil_transform(job)

    def __getitem__(self, at: Any) -> tuple[torch.Tensor, int]:
        sample = super().__getitem__(at)
        return self._transform(sample["image"]), sample["label"]


def prepare(job: Job) -> None:
    """Pack the photos into MDS shards."""
    files = labelled_files(job)

    def write(folder: Path) -> None:
        columns = {"image": "jpeg", "label": "int"}
        with MDSWriter(out=str(folder), columns=columns) as out:
            for path, label in files:
                # From a file that PIL has only opened, MDS takes the bytes as they are.
                from PIL import Image

                out.write({"image": Image.open(path), "label": label})

    once(job.work / "mosaic", write)


def batches(job: Job) -> Iterator[torch.Tensor]:
    """Images of shape (batch, 3, size, size), uint8."""
    clean_stale_shared_memory()
    loader = DataLoader(
        Photos(job),
        job.batch_size,
        num_workers=job.workers,
        persistent_workers=True,
        prefetch_factor=job.prefetch,
        drop_last=True,
    )
    while True:
        for images, _ in loader:
            yield images
