"""LitData over its own chunks of the same bytes; torchvision decodes in worker processes."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import torch
from litdata import (  # pyright: ignore[reportMissingImports]
    StreamingDataLoader,
    StreamingDataset,
    optimize,
)
from PIL import Image
from torchvision.transforms import v2

from benchmarks.peers import Job
from benchmarks.peers.image_files import labelled_files, once

TITLE = "LitData (torchvision decode)"


class Photos(StreamingDataset):
    """Crops of the stored photos; LitData hands over decoded photos of shape (3, h, w)."""

    def __init__(self, job: Job) -> None:
        super().__init__(str(job.work / "litdata"), shuffle=True, drop_last=True)
        self._transform = v2.Compose(
            [
                v2.RandomResizedCrop(job.image_size, job.scale, job.ratio, antialias=True),
                v2.RandomHorizontalFlip(),
            ]
        )

    def __getitem__(self, index: Any) -> tuple[torch.Tensor, int]:
        image, label = super().__getitem__(index)
        if isinstance(image, Image.Image):
            image = v2.functional.pil_to_tensor(image.convert("RGB"))
        return self._transform(image), label


def prepare(job: Job) -> None:
    """Pack the photos into LitData's chunks."""
    files = labelled_files(job)
    once(job.work / "litdata", lambda folder: _pack(files, folder))


def batches(job: Job) -> Iterator[torch.Tensor]:
    """Images of shape (batch, 3, size, size), uint8."""
    loader = StreamingDataLoader(
        Photos(job),
        batch_size=job.batch_size,
        num_workers=job.workers,
        drop_last=True,
        persistent_workers=True,
        prefetch_factor=job.prefetch,
    )
    while True:
        for images, _ in loader:
            yield images


def _open(file: tuple[str, int]) -> tuple[Any, int]:
    # From a file that PIL has only opened, LitData takes the bytes as they are.
    return Image.open(file[0]), file[1]


def _pack(files: list[tuple[str, int]], folder: Path) -> None:
    optimize(_open, files, str(folder), chunk_bytes="64MB", num_workers=1, mode="overwrite")
