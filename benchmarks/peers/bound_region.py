"""No loader: libjpeg-turbo, through nvImageCodec, decodes only the crops and throws them away."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from typing import Any

import numpy as np

from benchmarks.peers import Job
from benchmarks.peers.bound_full import run
from glr_fast.data.backends.jpeg_regions import decode_region, make_decoder

TITLE = "bound: libjpeg-turbo, only the crop, nothing else"
AXES: dict[str, tuple[int, ...]] = {}


def prepare(job: Job) -> None:
    """Reads the store itself."""


def batches(job: Job) -> Iterator[range]:
    """As many photos at a time as a batch has."""
    local = threading.local()

    def decode(encoded: np.ndarray, box: np.ndarray) -> Any:
        if not hasattr(local, "decoder"):
            local.decoder = make_decoder()
        return decode_region(local.decoder, encoded, box)

    return run(job, decode)
