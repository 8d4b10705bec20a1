"""The options of a comparison (``launch/compare.py``)."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from tyro.conf import Positional

from glr_fast.errors import require

ComparedFigure = Literal["macro_f1", "accuracy", "top5_accuracy", "balanced_accuracy", "gap"]


@dataclass(frozen=True)
class CompareOptions:
    """Compare evaluated runs, and elect the best by its figure on the validation split."""

    runs: Positional[tuple[Path, ...]] = ()
    """Run folders, each evaluated on the same photos."""
    by: ComparedFigure = "macro_f1"
    """Figure that decides."""
    out: Path | None = None
    """Write the elected model as an export into this folder, such as best."""
    overwrite: bool = False
    """Replace an export that is in the way."""
    resamples: int = 1000
    """Resamples of the photos (paired bootstrap) behind the intervals."""
    measure: bool = True
    """Measure each model's speed on this machine; without it parameters decide what is cheaper."""

    def __post_init__(self) -> None:
        require(self.resamples >= 100, "--resamples", "100 or more", self.resamples)
