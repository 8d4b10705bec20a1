"""Which run a command means: the folder that was named, or the newest run in a folder of runs.

Looks at names only and imports nothing heavy, so that a wrong path is answered at once.
"""

from __future__ import annotations

import json
import shlex
from pathlib import Path

from glr_fast.errors import ConfigError

RUNS = Path("runs")
"""Where ``glr-train`` puts runs unless told otherwise."""

_CONFIG, _CARD = "config.json", "model.json"


def is_model(folder: Path) -> bool:
    """Whether a folder is a run, a checkpoint or an export."""
    return (folder / _CONFIG).is_file() or (folder / _CARD).is_file()


def runs_in(folder: Path) -> list[Path]:
    """The runs in a folder that have weights to use, the newest last."""
    found = [file.parent for file in folder.glob(f"*/{_CONFIG}")]
    trained = [run for run in found if (run / "best").is_dir() or (run / "checkpoints").is_dir()]
    return sorted(trained, key=lambda run: ((run / _CONFIG).stat().st_mtime_ns, run))


def model_folder(path: Path, flag: str) -> Path:
    """The model that a path means: itself, or the newest run in it if it is a folder of runs.

    Args:
        path: of a run, a checkpoint, an export, or a folder of runs such as ``runs``.
        flag: how a user gives it, such as ``--run``.

    Raises:
        ConfigError: nothing there, or no model.
    """
    if is_model(path) or (path / "best").is_dir() or (path / "checkpoints").is_dir():
        return path
    if not path.is_dir() and path != RUNS:
        there = ", ".join(map(str, runs_in(path.parent)[-3:]))
        raise ConfigError(
            f"{flag} {path}: no such run folder"
            + (
                f"; there are {there}"
                if there
                else f"; glr-train --out {shlex.quote(str(path))} makes one"
            )
        )
    found = runs_in(path)
    if not found:
        where = f"no run in {path}" if path == RUNS else f"{flag} {path}: no run in this folder"
        raise ConfigError(f"{where}; train one with glr-train, or name another folder with {flag}")
    return found[-1]


def store_of(run: Path) -> Path | None:
    """The store that a run, its ``best`` or a checkpoint was trained on; None if nobody knows."""
    for folder in (run, run.parent, run.parent.parent):
        try:
            return Path(json.loads((folder / _CONFIG).read_text())["data"]["store"])
        except (OSError, ValueError, KeyError, TypeError):
            continue
    return None
