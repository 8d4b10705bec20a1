"""The contenders of the loader benchmark, one module each, all with the same interface.

A module has ``TITLE`` and two functions: ``prepare(job)`` writes its own container of the photos
where it needs one, ``batches(job)`` yields batches without end. All do a training run's work: a
random crop (area 0.25 to 1, ratio 3/4 to 4/3) resized to 224 x 224 with antialiasing, where the
library has it, and a random flip. The ``bound_`` modules are no loaders: they only decode.

Where a library can hand over uint8 it does, as that is cheaper than normalised float32. Each
contender runs with the settings that were best in a sweep of its own (benchmarks/loader_sweep.py).
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

#: Modules of this package, in the order of the tables.
NAMES = (
    "glr_cpu",
    "glr_dali",
    "dali_stock",
    "dali_full",
    "ffcv_jpeg",
    "spdl_threads",
    "mosaic_streaming",
    "litdata_stream",
    "imagefolder_pil",
    "webdataset_pil",
    "bound_full",
    "bound_region",
)


@dataclass(frozen=True)
class Job:
    """What every contender is asked to do."""

    store: Path
    """Store of glr-shard; all photos are in its train split."""
    work: Path
    """Folder for contenders' own containers; one for each store."""
    batch_size: int = 256
    image_size: int = 224
    """Side of the square crops, in pixels."""
    workers: int = 2
    """Threads or worker processes that decode."""
    prefetch: int = 2
    """Batches ahead: of each worker process, or of all threads, as the library counts."""
    shuffle: int = 512
    """Photos of the buffer in which a contender that streams mixes them; 0 reads in order."""
    scale: tuple[float, float] = (0.25, 1.0)
    """Share of the photo's area that a crop covers, least and most."""
    ratio: tuple[float, float] = (3 / 4, 4 / 3)
    """Width over height of a crop, least and most."""


#: What the sweep tries for a contender that says nothing else in ``AXES``: fields of its job.
AXES: dict[str, tuple[int, ...]] = {
    "batch_size": (256, 128, 64, 32),
    "workers": (2, 3, 4),
    "prefetch": (2, 4),
}


class Peer(Protocol):
    """The interface of the modules of this package.

    A module may have ``AXES`` of its own; an empty one is not swept.
    """

    TITLE: str

    def prepare(self, job: Job) -> None:
        """Write what the contender reads, once; later calls find it there."""
        ...

    def batches(self, job: Job) -> Iterator[Any]:
        """Batches without end; ``len`` of each is its number of photos."""
        ...
