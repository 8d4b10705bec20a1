"""The options of an export (``launch/export.py``)."""

from __future__ import annotations

import difflib
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, get_args

from glr_fast.errors import ConfigError, require
from glr_fast.run_folders import RUNS

FormatName = Literal["safetensors", "onnx", "torch-export"]
FORMATS: tuple[FormatName, ...] = get_args(FormatName)


@dataclass(frozen=True)
class ExportOptions:
    """Write a trained model as a folder that other programs can use."""

    model: Path = RUNS
    """Run folder, or a folder with weights and card: RUN/best, a checkpoint, an export. In a folder
    of runs, such as runs, the newest is taken."""
    out: Path = Path("best")
    """Folder to write."""
    formats: str = "safetensors"
    """Formats, joined by commas: safetensors (always written; timm loads it), onnx and torch-export
    (normalisation and softmax inside)."""
    checkpoint: str = "best"
    """Of a run: best, last, or the name of a folder under checkpoints/."""
    store: Path | None = None
    """Store whose photos onnx and torch-export are checked on; None takes the run's."""
    overwrite: bool = False
    """Replace an export that is in the way."""

    def __post_init__(self) -> None:
        require(str(self.out) not in ("", "."), "--out", "a folder to write", self.out)
        for name in self.formats.split(","):
            if name.strip() not in FORMATS:
                close = difflib.get_close_matches(name, FORMATS, n=1, cutoff=0.4)
                hint = f"; did you mean {close[0]}?" if close else ""
                raise ConfigError(
                    f"--formats: unknown format {name!r}; there are {', '.join(FORMATS)}{hint}"
                )

    @property
    def chosen(self) -> tuple[FormatName, ...]:
        """The formats to write, in the order of ``FORMATS``; weights and card always."""
        asked = {name.strip() for name in self.formats.split(",")} | {"safetensors"}
        return tuple(name for name in FORMATS if name in asked)
