"""Photos through a model: what it says of each, batch by batch."""

from __future__ import annotations

from collections.abc import Callable, Generator
from dataclasses import dataclass

import numpy as np
import torch

from glr_fast.data import EncodedPhoto, LoaderOptions, decode_encoded, usable_cores
from glr_fast.errors import ConfigError
from glr_fast.predict_options import PredictOptions
from glr_fast.prediction.listing import Listed, Rejected
from glr_fast.prediction.photos import encoded_photos
from glr_fast.trained_model import TrainedModel

UNDECODABLE = "cannot be decoded"
_TYPES = {"bf16": torch.bfloat16, "fp16": torch.float16}


@dataclass(frozen=True)
class Answers:
    """What a model says of some photos; entry i of everything is one photo."""

    rows: np.ndarray
    """Their numbers in the list of photos. Shape (photos,), int64."""
    paths: list[str]
    """Where each is."""
    top: np.ndarray
    """Most probable labels, best first. Shape (photos, k), int64; k = min(top, classes)."""
    probabilities: np.ndarray
    """Of the top labels. Shape (photos, k), float32."""
    unsure: np.ndarray | None
    """Whether the best answer is below the threshold. Shape (photos,), bool; None: no threshold."""
    every: np.ndarray | None
    """Probability of every label, with the option ``all``. Shape (photos, classes), float32."""
    photos: list[EncodedPhoto]
    """The photos as the network was given them."""


def answers(
    model: TrainedModel,
    listed: Listed,
    options: PredictOptions,
    threshold: float | None,
    reject: Callable[[Rejected], None],
) -> Generator[Answers]:
    """Recognise listed photos.

    An answer depends on the photo alone, to within 1e-5: of kernels that round otherwise for
    another batch size. With the same batch size it is the same to the bit, whatever comes before,
    after or beside the photo.

    Args:
        model: on its device.
        listed: the photos.
        options: batch size, backend, threads, how many answers.
        threshold: below it an answer is unsure; None marks none.
        reject: is told of photos that cannot be read.

    Yields:
        The answers in the order of the list, a batch at a time.
    """
    threads = options.threads or usable_cores()
    reading = LoaderOptions(
        batch_size=max(min(options.batch_size, len(listed)), 1),
        image_size=options.image_size or model.card.image_size,
        backend=options.backend,
        threads=threads,
    )
    photos = encoded_photos(listed, options.check, threads, reject)
    k = min(options.top, model.card.num_classes)
    for batch in decode_encoded(photos, reading, model.device):
        with torch.inference_mode():
            every = _probabilities(model, batch.images, options.precision)[: len(batch.photos)]
            best, labels = every.topk(k, dim=1)
        kept = np.flatnonzero(batch.readable)
        rows = np.array([photo.row for photo in batch.photos], np.int64)
        paths = listed.paths(rows)
        for bad in np.flatnonzero(~batch.readable).tolist():
            reject(Rejected(paths[bad], UNDECODABLE))
        values = best.cpu().numpy()[kept]
        if not np.isfinite(values).all():
            raise ConfigError(
                f"--precision {options.precision}: answers to {paths[kept[0]]}, or to a photo near "
                "it, are not finite numbers; give bf16 or no"
            )
        yield Answers(
            rows[kept],
            [paths[i] for i in kept.tolist()],
            labels.cpu().numpy()[kept],
            values,
            None if threshold is None else values[:, 0] < np.float32(threshold),
            every.cpu().numpy()[kept] if options.all else None,
            [batch.photos[i] for i in kept.tolist()],
        )


def _probabilities(model: TrainedModel, images: torch.Tensor, precision: str) -> torch.Tensor:
    """Shape (batch, classes), float32, on the device.

    Raises:
        ConfigError: the device has not enough memory.
    """
    mixed = precision in _TYPES
    try:
        with torch.autocast(model.device.type, _TYPES.get(precision), enabled=mixed):
            return model.logits(images).softmax(1)
    except torch.OutOfMemoryError:
        raise ConfigError(
            f"--batch-size {len(images)}: {model.device} has not enough memory; give a smaller one"
        ) from None
