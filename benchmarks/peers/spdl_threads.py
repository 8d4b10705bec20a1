"""SPDL: ffmpeg decodes, crops, resizes and flips in a pool of threads."""

from __future__ import annotations

import math
import random
from collections.abc import Iterator

import spdl.io  # pyright: ignore[reportMissingImports]
import torch
from spdl.pipeline import PipelineBuilder  # pyright: ignore[reportMissingImports]

from benchmarks.peers import Job
from benchmarks.peers.image_files import labelled_files

TITLE = "SPDL (ffmpeg, threads)"


def prepare(job: Job) -> None:
    """Write the photos as files."""
    labelled_files(job)


def batches(job: Job) -> Iterator[torch.Tensor]:
    """Images of shape (batch, size, size, 3), uint8."""
    files = [path for path, _ in labelled_files(job)]

    def decode(path: str) -> spdl.io.ImageFrames:
        return spdl.io.decode_packets(spdl.io.demux_image(path), crop_filter(job))

    def collate(frames: list[spdl.io.ImageFrames]) -> torch.Tensor:
        return spdl.io.to_torch(spdl.io.convert_frames(frames))

    pipeline = (
        PipelineBuilder()
        .add_source(_shuffled(files))
        .pipe(decode, concurrency=job.workers)
        .aggregate(job.batch_size)
        .pipe(collate)
        .add_sink(job.prefetch)
        .build(num_threads=job.workers)
    )
    with pipeline.auto_stop():
        yield from pipeline.get_iterator()


def _shuffled(files: list[str]) -> Iterator[str]:
    while True:
        random.shuffle(files)
        yield from files


def crop_filter(job: Job) -> str:
    """An ffmpeg filter for one photo; ``iw`` and ``ih`` are the photo's width and height."""
    area = random.uniform(*job.scale)
    aspect = math.exp(random.uniform(*map(math.log, job.ratio)))
    width = f"min(iw,sqrt(iw*ih*{area * aspect:.4f}))"
    height = f"min(ih,sqrt(iw*ih*{area / aspect:.4f}))"
    left, top = (f"({side})*{random.random():.4f}" for side in ("iw-ow", "ih-oh"))
    flip = ",hflip" if random.random() < 0.5 else ""
    side = job.image_size
    return (
        f"crop=w='{width}':h='{height}':x='{left}':y='{top}',"
        f"scale={side}:{side}:flags=bilinear{flip},format=pix_fmts=rgb24"
    )
