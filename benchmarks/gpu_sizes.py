"""How large the steps of the first hour on a GPU are, and what they share."""

from __future__ import annotations

import dataclasses
import os
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import cast

from benchmarks.stores import open_store, source_photos
from benchmarks.train_step import Task
from glr_fast.data import usable_cores
from glr_fast.model_config import LossName

Note = Callable[[str, str, str], None]
"""Takes down a row: what, figure, remark."""


@dataclass(frozen=True)
class Sizes:
    """How large everything is."""

    device: str = "cuda"
    models: tuple[str, str] = ("resnet50", "efficientnet_b0")
    classes: tuple[int, ...] = (1000, 81_313)
    batch: int = 256
    side: int = 224
    threads: int = dataclasses.field(default_factory=usable_cores)
    seconds: float = 0.5
    """Least time of a turn in a race."""
    steps: int = 15
    """Training steps of a turn."""
    warm: int = 6
    """Training steps before each turn: more than the loader has ready."""
    rounds: int = 5
    settings: int | None = None
    """Settings of the loader that are swept; None for all."""
    small: bool = False
    """A few generated photos."""


TINY = Sizes(
    device="cpu",
    models=("test_resnet", "test_efficientnet"),
    classes=(20, 50),
    batch=8,
    side=32,
    threads=1,
    seconds=0.01,
    steps=2,
    warm=1,
    rounds=1,
    settings=3,
    small=True,
)


def the_store(work: Path, sizes: Sizes) -> Path:
    """The store that all steps read: made in the first, from landmarks13 or generated photos."""
    given = os.environ.get("GLR_STORE")
    photos, _ = (Path(), "") if given else source_photos(work, sizes.small)
    return Path(given) if given else open_store("original", photos, work, shard=64)


def task_of(sizes: Sizes, model: str, classes: int, loss: str) -> Task:
    """A training step of these sizes."""
    return Task(
        model,
        cast(LossName, loss),
        classes,
        sizes.batch,
        sizes.side,
        sizes.device,
        bf16=sizes.device == "cuda",
    )
