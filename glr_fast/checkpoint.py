"""Checkpoints of a run: written under a temporary name, renamed when whole.

A run folder::

    config.json                    what was run
    metrics.jsonl                  every logged step, one JSON object a line
    checkpoints/step-00000120/     model.safetensors, optimizer.bin, random_states_N.pkl,
                                   trainer.json, model.json, classes.parquet
    best/                          model.safetensors, model.json, classes.parquet
    logs/                          TensorBoard

A folder under ``checkpoints/`` that carries its final name is whole. The weights are those of the
bare model, so that a checkpoint of eight processes continues on one, and the other way round.
"""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import safetensors.torch
from accelerate import Accelerator
from safetensors import safe_open
from torch import Tensor, nn

from glr_fast.errors import ConfigError

WEIGHTS = "model.safetensors"
CARD = "model.json"
CLASSES = "classes.parquet"
STATE = "trainer.json"
CONFIG = "config.json"


@dataclass(frozen=True)
class TrainState:
    """The trainer's own part of a checkpoint, ``trainer.json``."""

    step: int
    """Global batches seen."""
    num_classes: int
    """Width of the head."""
    store: str
    """Fingerprint of the store's contents."""
    best: float | None
    """Best validation figure so far; None before the first evaluation."""
    window: tuple[float, ...]
    """Sums since the last log line, so that the next one is as if never stopped."""

    @classmethod
    def read(cls, folder: Path) -> TrainState:
        """The state in a checkpoint folder.

        Raises:
            ConfigError: damaged, or of another version.
        """
        file = folder / STATE
        try:
            raw = json.loads(file.read_text())
            return cls(**raw | {"window": tuple(raw["window"])})
        except (OSError, ValueError, TypeError, KeyError) as error:
            raise ConfigError(f"{file}: not a checkpoint of this version ({error})") from None


def checkpoint_folders(run: Path) -> list[Path]:
    """Whole checkpoints of a run, oldest first."""
    return sorted((run / "checkpoints").glob("step-*"))


def newest_checkpoint(run: Path) -> Path | None:
    """The newest whole checkpoint of a run, or None."""
    folders = checkpoint_folders(run)
    return folders[-1] if folders else None


def save_checkpoint(
    accelerator: Accelerator, run: Path, state: TrainState, export: Mapping[str, bytes], keep: int
) -> Path:
    """Write a checkpoint, then drop all but the newest ``keep``. Every process calls it.

    Args:
        accelerator: holds model and optimiser.
        run: the run folder.
        state: the trainer's state.
        export: files to lie beside the weights, by name.
        keep: checkpoints that stay.

    Returns:
        The checkpoint's folder.
    """
    folder = run / "checkpoints" / f"step-{state.step:08d}"
    temporary = folder.with_name(f".{folder.name}.tmp")
    if accelerator.is_main_process:
        shutil.rmtree(temporary, ignore_errors=True)
        temporary.mkdir(parents=True)
    accelerator.wait_for_everyone()
    accelerator.save_state(str(temporary))
    accelerator.wait_for_everyone()
    if accelerator.is_main_process:
        (temporary / STATE).write_text(json.dumps(asdict(state)) + "\n")
        for name, content in export.items():
            (temporary / name).write_bytes(content)
        _publish(temporary, folder)
        for old in checkpoint_folders(run)[:-keep]:
            shutil.rmtree(old)
    accelerator.wait_for_everyone()
    return folder


def save_best(
    run: Path, model: nn.Module, export: Mapping[str, bytes], note: Mapping[str, Any]
) -> None:
    """Write ``best/``: the weights by one rename, with ``note`` inside the file."""
    folder = run / "best"
    folder.mkdir(parents=True, exist_ok=True)
    for name, content in export.items():
        _replace(folder / name, content)
    temporary = folder / f".{WEIGHTS}.tmp"
    _write_weights(model, temporary, {key: str(value) for key, value in note.items()})
    _sync(temporary)
    temporary.replace(folder / WEIGHTS)


def find_export(run: Path, checkpoint: str) -> Path:
    """The folder with weights and card that ``best``, ``last`` or a checkpoint's name means.

    Raises:
        ConfigError: no such run or checkpoint.
    """
    if not run.is_dir():
        raise ConfigError(f"{run}: no such run folder; launch/train.py --out {run} makes one")
    named = {"best": run / "best", "last": newest_checkpoint(run)}
    folder = named.get(checkpoint, run / "checkpoints" / checkpoint)
    if folder is None or not (folder / WEIGHTS).is_file():
        have = [name for name, path in named.items() if path and (path / WEIGHTS).is_file()]
        have += [path.name for path in checkpoint_folders(run)]
        raise ConfigError(
            f"{run}: no checkpoint {checkpoint!r}; it has {', '.join(have) or 'none'}"
        )
    return folder


def load_weights(folder: Path) -> tuple[dict[str, Tensor], dict[str, str]]:
    """Weights by name and the note beside them, from ``best/`` or a checkpoint."""
    file = folder / WEIGHTS
    with safe_open(file, "pt") as opened:
        note = {k: v for k, v in (opened.metadata() or {}).items() if k != "format"}
    return safetensors.torch.load_file(file), note


def write_atomically(file: Path, text: str) -> None:
    """Write a small text file under a temporary name, then rename it."""
    _replace(file, text.encode())


def _write_weights(model: nn.Module, file: Path, note: dict[str, str]) -> None:
    # The file format knows contiguous tensors only; ours are channels-last.
    tensors = {key: value.detach().cpu().contiguous() for key, value in model.state_dict().items()}
    safetensors.torch.save_file(tensors, file, note | {"format": "pt"})


def _replace(file: Path, content: bytes) -> None:
    temporary = file.with_name(f".{file.name}.tmp")
    temporary.write_bytes(content)
    _sync(temporary)
    temporary.replace(file)


def _publish(temporary: Path, folder: Path) -> None:
    """Rename a written folder once its files are on the disk."""
    for file in temporary.iterdir():
        _sync(file)
    shutil.rmtree(folder, ignore_errors=True)
    temporary.rename(folder)


def _sync(file: Path) -> None:
    descriptor = os.open(file, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
