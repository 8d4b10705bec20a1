"""FFCV over a .beton of the same JPEG bytes: libjpeg-turbo and OpenCV in compiled threads."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import torch
from ffcv.fields import IntField, RGBImageField  # pyright: ignore[reportMissingImports]
from ffcv.fields.decoders import (  # pyright: ignore[reportMissingImports]
    IntDecoder,
    RandomResizedCropRGBImageDecoder,
)
from ffcv.fields.rgb_image import IMAGE_MODES  # pyright: ignore[reportMissingImports]
from ffcv.loader import Loader, OrderOption  # pyright: ignore[reportMissingImports]
from ffcv.transforms import (  # pyright: ignore[reportMissingImports]
    RandomHorizontalFlip,
    ToTensor,
    ToTorchImage,
)
from ffcv.writer import DatasetWriter  # pyright: ignore[reportMissingImports]

from benchmarks.peers import Job
from benchmarks.peers.image_files import labelled_files, once

TITLE = "FFCV (JPEG in .beton)"
#: Few: it compiles its pipeline anew for each.
AXES = {"batch_size": (256, 64), "workers": (2, 3, 4), "prefetch": (2, 4)}


class Photos:
    """Encoded photos by number: (bytes, label)."""

    def __init__(self, files: list[tuple[str, int]]) -> None:
        self._files = files

    def __len__(self) -> int:
        return len(self._files)

    def __getitem__(self, index: int) -> tuple[np.ndarray, int]:
        path, label = self._files[index]
        return np.fromfile(path, np.uint8), label


def prepare(job: Job) -> None:
    """Pack the photos into a .beton."""
    photos = Photos(labelled_files(job))
    once(job.work / "ffcv", lambda folder: _pack(folder / "photos.beton", photos))


def batches(job: Job) -> Iterator[torch.Tensor]:
    """Images of shape (batch, 3, size, size), uint8."""
    side = (job.image_size, job.image_size)
    decoder = RandomResizedCropRGBImageDecoder(side, scale=job.scale, ratio=job.ratio)
    loader = Loader(
        str(job.work / "ffcv/photos.beton"),
        batch_size=job.batch_size,
        num_workers=job.workers,
        order=OrderOption.RANDOM,
        os_cache=True,
        batches_ahead=job.prefetch,
        drop_last=True,
        pipelines={
            "image": [decoder, RandomHorizontalFlip(), ToTensor(), ToTorchImage()],
            "label": [IntDecoder(), ToTensor()],
        },
    )
    while True:
        for images, _ in loader:
            yield images


def _pack(path: Path, photos: Photos) -> None:
    field = RGBImageField(write_mode="jpg")
    # FFCV would encode anew; the same bytes are to be decoded by all.
    field.encode = _store_bytes
    writer = DatasetWriter(str(path), {"image": field, "label": IntField()}, num_workers=1)
    writer.from_indexed_dataset(photos)


def _store_bytes(place: Any, encoded: np.ndarray, malloc: Callable[[int], Any]) -> None:
    image = cv2.imdecode(encoded, cv2.IMREAD_COLOR)
    assert image is not None
    place["mode"] = IMAGE_MODES["jpg"]
    place["height"], place["width"] = image.shape[:2]
    place["data_ptr"], storage = malloc(encoded.nbytes)
    storage[:] = encoded
