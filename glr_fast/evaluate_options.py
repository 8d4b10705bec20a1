"""The options of an evaluation (``launch/evaluate.py``)."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from glr_fast.config import Precision
from glr_fast.errors import require
from glr_fast.loader_options import ReadingOptions


@dataclass(frozen=True)
class EvaluateOptions(ReadingOptions):
    """Evaluate a trained run on one or more splits of a store."""

    run: Path = Path("runs/train")
    """Run folder of launch/train.py."""
    store: Path = Path("store")
    """Folder or URL of a store; its classes must be those of the run."""
    split: str = "test"
    """Split to evaluate, or several joined by commas (val,test) and evaluated together."""
    checkpoint: str = "best"
    """best, last, or the name of a folder under checkpoints/."""
    out: Path | None = None
    """Folder for the results; None takes RUN/eval-SPLIT."""
    batch_size: int = 64
    """Photos per global batch, over all processes."""
    image_size: int | None = None
    """Side of the centre crop, in pixels; None takes the run's."""
    precision: Precision = "auto"
    """Mixed precision; auto leaves it to accelerate launch."""

    def __post_init__(self) -> None:
        self.check_reading(prefix="")
        require(self.batch_size >= 1, "--batch-size", "1 or more", self.batch_size)
        size = self.image_size
        require(size is None or size >= 16, "--image-size", "16 or more", size)

    @property
    def splits(self) -> list[str]:
        """The splits to evaluate together, each once."""
        return list(dict.fromkeys(self.split.split(",")))

    @property
    def folder(self) -> Path:
        """Where the results go."""
        return self.out or self.run / f"eval-{'-'.join(self.splits)}"
