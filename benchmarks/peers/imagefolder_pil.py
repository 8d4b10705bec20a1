"""torchvision's ImageFolder and a DataLoader: PIL decodes in worker processes."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import torch
from torch.utils.data import DataLoader
from torchvision import transforms
from torchvision.datasets import ImageFolder

from benchmarks.peers import Job
from benchmarks.peers.image_files import image_folder

TITLE = "torchvision ImageFolder + DataLoader (PIL)"


def prepare(job: Job) -> None:
    """Write one folder per label."""
    image_folder(job)


def batches(job: Job) -> Iterator[torch.Tensor]:
    """Images of shape (batch, 3, size, size), uint8."""
    loader = DataLoader(
        ImageFolder(str(image_folder(job)), pil_transform(job)),
        job.batch_size,
        shuffle=True,
        num_workers=job.workers,
        persistent_workers=True,
        prefetch_factor=job.prefetch,
        drop_last=True,
    )
    while True:
        for images, _ in loader:
            yield images


def pil_transform(job: Job) -> Callable[[Any], torch.Tensor]:
    """torchvision's training transforms up to uint8: the division and normalisation left out."""
    return transforms.Compose(
        [
            transforms.RandomResizedCrop(job.image_size, job.scale, job.ratio),
            transforms.RandomHorizontalFlip(),
            transforms.PILToTensor(),
        ]
    )
