"""The options of an evaluation (``launch/evaluate.py``)."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path
from typing import Self

from glr_fast.config import Precision
from glr_fast.errors import ConfigError, require
from glr_fast.loader_options import ReadingOptions
from glr_fast.run_folders import RUNS, model_folder, store_of

SPLITS = ("train", "val", "test")
"""Of a store. Named here again, since this file is read before anything heavy is imported."""
#: As ``shard_tools.sources`` understands folders; named again for the same reason.
_MEANT = {"valid": "val", "validation": "val", "dev": "val", "training": "train", "testing": "test"}


@dataclass(frozen=True)
class EvaluateOptions(ReadingOptions):
    """Evaluate a trained run on one or more splits of a store."""

    run: Path = RUNS
    """Run folder of glr-train, its best/, a checkpoint, or an export. In a folder of runs, such as
    runs, the newest is taken."""
    store: Path | None = None
    """Folder or URL of a store; its classes are matched to the run's by landmark id. None takes the
    store that the run was trained on."""
    split: str = "test"
    """Split to evaluate, or several joined by commas (val,test) and evaluated together."""
    checkpoint: str = "best"
    """Of a run folder: best, last, or the name of a folder under checkpoints/."""
    out: Path | None = None
    """Folder for the results; None takes RUN/eval-SPLIT."""
    report: bool = True
    """Write report.html, a page with charts and photos of the mistakes."""
    resamples: int = 1000
    """Resamples of the photos from which the 95% intervals are taken; 0 for no intervals."""
    batch_size: int = 64
    """Photos per global batch, over all processes."""
    image_size: int | None = None
    """Side of the centre crop, in pixels; None takes the run's."""
    precision: Precision = "auto"
    """Mixed precision; auto leaves it to accelerate launch."""

    def __post_init__(self) -> None:
        for name in ("run", "store", "out"):  # callers from Python like to give strings
            path = getattr(self, name)
            object.__setattr__(self, name, None if path is None else Path(path))
        self.check_reading(prefix="")
        known = all(split in SPLITS for split in self.splits)
        wanted = "train, val or test, or several of them with commas"
        meant = [_MEANT.get(split.strip().lower(), split) for split in self.splits]
        if not known and all(split in SPLITS for split in meant):
            wanted = f"train, val or test (did you mean {','.join(meant)}?)"
        require(known, "--split", wanted, self.split)
        require(self.batch_size >= 1, "--batch-size", "1 or more", self.batch_size)
        size = self.image_size
        require(self.resamples >= 0, "--resamples", "0 or more", self.resamples)
        require(size is None or size >= 16, "--image-size", "16 or more", size)

    def resolved(self) -> Self:
        """The same options with one run and one store: where none is named, the newest and its own.

        Raises:
            ConfigError: no run there, or one that does not know its store.
        """
        run = model_folder(self.run, "--run")
        store = self.store or store_of(run)
        if store is None:
            raise ConfigError(f"--store is missing: {run} does not say what it was trained on")
        return replace(self, run=run, store=store)

    @property
    def splits(self) -> list[str]:
        """The splits to evaluate together, each once."""
        return list(dict.fromkeys(self.split.split(",")))

    @property
    def folder(self) -> Path:
        """Where the results go."""
        return self.out or self.home / f"eval-{'-'.join(self.splits)}"

    @property
    def home(self) -> Path:
        """The run folder: also where ``run`` names its ``best``."""
        inside = self.run.name == "best" and (self.run.parent / "config.json").is_file()
        return self.run.parent if inside else self.run
