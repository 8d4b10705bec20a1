"""Stock DALI with a full decode before the random crop."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import torch
from nvidia.dali import fn
from nvidia.dali.types import DALIImageType

from benchmarks.peers import Job, dali_stock

TITLE = "DALI: webdataset reader, full decode, random_resized_crop"
AXES = dali_stock.AXES


def prepare(job: Job) -> None:
    """Reads the store's tars through their .idx files."""


def batches(job: Job) -> Iterator[torch.Tensor]:
    """Images of shape (batch, size, size, 3), uint8."""
    return dali_stock.run(job, decode_then_crop)


def decode_then_crop(encoded: Any, job: Job) -> Any:
    """Decode the whole photo."""
    images = fn.decoders.image(encoded, device="cpu", output_type=DALIImageType.RGB)
    return fn.random_resized_crop(
        images,
        size=(job.image_size, job.image_size),
        random_area=list(job.scale),
        random_aspect_ratio=list(job.ratio),
    )
