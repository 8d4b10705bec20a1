"""Stock DALI as its documentation has it: WebDataset reader, decoding crop, antialiased resize."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any, cast

import torch
from nvidia.dali import fn
from nvidia.dali.data_node import DataNode
from nvidia.dali.pipeline import Pipeline
from nvidia.dali.types import DALIImageType

from benchmarks.peers import AXES, Job

TITLE = "DALI: webdataset reader, image_random_crop, resize"
AXES = {**AXES, "shuffle": (512, 0)}


def prepare(job: Job) -> None:
    """Reads the store's tars through their .idx files."""


def batches(job: Job) -> Iterator[torch.Tensor]:
    """Images of shape (batch, size, size, 3), uint8."""
    return run(job, crop_then_resize)


def crop_then_resize(encoded: Any, job: Job) -> Any:
    """Decode only the crop."""
    crops = fn.decoders.image_random_crop(
        encoded,
        device="cpu",
        output_type=DALIImageType.RGB,
        random_area=list(job.scale),
        random_aspect_ratio=list(job.ratio),
    )
    return fn.resize(crops, size=(job.image_size, job.image_size))


def run(job: Job, to_images: Callable[[Any, Job], Any]) -> Iterator[torch.Tensor]:
    """Run a pipeline around the reader."""

    pipeline = Pipeline(
        batch_size=job.batch_size,
        num_threads=job.workers,
        device_id=None,
        prefetch_queue_depth=job.prefetch,
    )
    with pipeline:
        encoded = cast("list[DataNode]", read(job))[0]
        images = fn.flip(to_images(encoded, job), horizontal=fn.random.coin_flip())
        pipeline.set_outputs(cast("DataNode", images))
    pipeline.build()
    while True:
        (images,) = pipeline.run()
        yield torch.from_dlpack(images.as_tensor())


def read(job: Job) -> Any:
    """Photos and labels, shuffled in a window as the reader does it."""
    return fn.readers.webdataset(
        paths=[str(p) for p in sorted(job.store.glob("train-*.tar"))],
        index_paths=[str(p) for p in sorted(job.store.glob("train-*.idx"))],
        ext=["jpg", "cls"],
        random_shuffle=job.shuffle > 0,
        initial_fill=max(job.shuffle, 1),
        missing_component_behavior="error",
    )
