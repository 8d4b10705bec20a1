"""Checkpoints of a run as they lie on the disk: where, which files, and whether they are whole.

Of a run folder (docs/runs.md)::

    checkpoints/step-00000120/     model.safetensors, optimizer.bin, trainer.json, model.json,
                                   classes.parquet; scaler.pt, trained.safetensors (docs/runs.md)
    best/                          model.safetensors, model.json, classes.parquet

A folder under ``checkpoints/`` that carries its final name is whole: it was written under a
temporary name, by ``checkpoint_writer``. ``trainer.json`` holds size and digest of all other files,
so that damage done later is found before anything is continued from it. The weights are those of
the bare model: a checkpoint of eight processes continues on one, and the other way round.
"""

from __future__ import annotations

import json
import re
import shlex
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import safetensors.torch
import xxhash
from safetensors import SafetensorError, safe_open
from torch import Tensor, nn

from glr_fast.errors import ConfigError
from glr_fast.whole_files import sync, write_atomically, write_weights, write_whole

WEIGHTS = "model.safetensors"
CARD = "model.json"
CLASSES = "classes.parquet"
STATE = "trainer.json"
CONFIG = "config.json"
METRICS = "metrics.jsonl"

_FOLDER = re.compile(r"step-(\d{8,})")

Files = Mapping[str, tuple[int, str]]
"""Size in bytes and XXH3 digest (128 bits, in hex) of each file of a checkpoint but the state."""


@dataclass(frozen=True)
class TrainState:
    """The trainer's own part of a checkpoint, in ``trainer.json``."""

    step: int
    """Global batches seen."""
    num_classes: int
    """Width of the head."""
    store: str
    """Fingerprint of the store's contents."""
    best: dict[str, float] | None
    """Figures of the best weights so far, by their names; None before the first evaluation."""
    window: tuple[float, ...]
    """Sums since the last log line, so that the next one is as if never stopped."""
    evaluated: bool = True
    """Whether all evaluations due until now have been made. A checkpoint is written before the
    evaluation of its step, which a run that was stopped in between still has to make."""

    def write(self, folder: Path, files: Files) -> None:
        """Write it into a checkpoint folder, beside the files it vouches for."""
        raw: dict[str, Any] = {"state": asdict(self), "files": files}
        raw["xxh128"] = _digest_of(raw)
        write_atomically(folder / STATE, json.dumps(raw) + "\n")

    @classmethod
    def read(cls, folder: Path) -> TrainState:
        """The state in a checkpoint folder.

        Raises:
            ConfigError: damaged, or of another version.
        """
        return read_state(folder)[0]


def read_state(folder: Path) -> tuple[TrainState, Files]:
    """The state in a checkpoint folder, and the sizes and digests of the files beside it.

    Raises:
        ConfigError: damaged, or of another version.
    """
    file = folder / STATE
    try:
        raw = json.loads(file.read_text())
        if raw.pop("xxh128") != _digest_of(raw):
            raise ValueError("its content is not what was written")
        state = raw["state"]
        files = {str(name): (int(size), str(code)) for name, (size, code) in raw["files"].items()}
        return TrainState(**state | {"window": tuple(state["window"])}), files
    except (OSError, ValueError, TypeError, KeyError, AttributeError) as error:
        reason = getattr(error, "strerror", None) or error
        raise ConfigError(f"{file}: not a checkpoint of this version ({reason})") from None


def _digest_of(raw: Mapping[str, Any]) -> str:
    return xxhash.xxh3_128_hexdigest(json.dumps(raw, sort_keys=True).encode())


def digest_of_file(file: Path) -> str:
    """XXH3 digest of a file, 128 bits in hex."""
    digest = xxhash.xxh3_128()
    with open(file, "rb") as opened:
        while block := opened.read(1 << 22):
            digest.update(block)
    return digest.hexdigest()


def damage_of(folder: Path) -> str | None:
    """What is wrong with a checkpoint, in a line that names the file; None for a whole one."""
    try:
        _, files = read_state(folder)
    except ConfigError as error:
        return str(error)
    for name, (size, code) in files.items():
        file = folder / name
        try:
            found = file.stat().st_size
            if found != size:
                return f"{file}: has {found:,} bytes, not the {size:,} that were written"
            if digest_of_file(file) != code:
                return f"{file}: its content is not what was written"
        except OSError as error:
            return f"{file}: cannot be read ({error.strerror})"
    return None


def step_of(folder: Path) -> int:
    """The step in the name of a checkpoint folder; -1 for any other name."""
    match = _FOLDER.fullmatch(folder.name)
    return int(match[1]) if match else -1


def checkpoint_folders(run: Path) -> list[Path]:
    """Checkpoints of a run, oldest first. Folders of other names do not count."""
    places = (run / "checkpoints").glob("step-*")
    return sorted((p for p in places if step_of(p) >= 0 and p.is_dir()), key=step_of)


def newest_checkpoint(run: Path) -> Path | None:
    """The newest checkpoint of a run, or None."""
    folders = checkpoint_folders(run)
    return folders[-1] if folders else None


def newest_usable_checkpoint(run: Path, warn: Callable[[str], None]) -> Path | None:
    """The newest checkpoint that is whole, or None where there is none at all.

    Args:
        run: the run folder.
        warn: told, in a line, of each damaged one that is passed over.

    Raises:
        ConfigError: there are checkpoints, all damaged.
    """
    damages = []
    for folder in reversed(checkpoint_folders(run)):
        damage = damage_of(folder)
        if damage is None:
            for line in damages:
                warn(f"{line}; continuing from {folder.name}, the checkpoint before")
            return folder
        damages.append(damage)
    if damages:
        name = shlex.quote(str(run))
        raise ConfigError(
            f"{damages[0]}; no other checkpoint of {run} can be used; start a new run with another "
            f"--out (from the best weights so far with --init-from {name})"
        )
    return None


def save_best(
    run: Path,
    model: nn.Module | Mapping[str, Tensor],
    export: Mapping[str, bytes],
    note: Mapping[str, Any],
) -> None:
    """Write ``best/``: the weights by one rename, with ``note`` inside the file.

    Args:
        run: the run folder.
        model: the bare model, or its weights by name.
        export: files to lie beside the weights, by name.
        note: goes into the weights' file, as strings.
    """
    weights = model.state_dict() if isinstance(model, nn.Module) else model
    folder = run / "best"
    folder.mkdir(parents=True, exist_ok=True)
    for name, content in export.items():
        write_whole(folder / name, content)
    temporary = folder / f".{WEIGHTS}.tmp"
    try:
        write_weights(weights, temporary, note)
        sync(temporary)
        temporary.replace(folder / WEIGHTS)
    finally:
        temporary.unlink(missing_ok=True)


def find_export(run: Path, checkpoint: str) -> Path:
    """The folder with weights and card that ``best``, ``last`` or a checkpoint's name means.

    Raises:
        ConfigError: no such run or checkpoint.
    """
    if not run.is_dir():
        name = shlex.quote(str(run))
        raise ConfigError(f"{run}: no such run folder; glr-train --out {name} makes one")
    named = {"best": run / "best", "last": newest_checkpoint(run)}
    folder = named.get(checkpoint, run / "checkpoints" / checkpoint)
    if folder is None or not (folder / WEIGHTS).is_file():
        have = [name for name, path in named.items() if path and (path / WEIGHTS).is_file()]
        have += [path.name for path in checkpoint_folders(run)]
        raise ConfigError(
            f"{run}: no checkpoint {checkpoint!r}; "
            + (f"it has {', '.join(have)}" if have else "it has stopped before its first")
        )
    return folder


def load_weights(folder: Path) -> tuple[dict[str, Tensor], dict[str, str]]:
    """Weights by name and the note beside them, from ``best/`` or a checkpoint."""
    file = folder / WEIGHTS
    with safe_open(file, "pt") as opened:
        note = {k: v for k, v in (opened.metadata() or {}).items() if k != "format"}
    return safetensors.torch.load_file(file), note


def best_note(run: Path) -> dict[str, str]:
    """What was written beside the weights in ``best/``: step and figures; empty without any."""
    try:
        with safe_open(run / "best" / WEIGHTS, "pt") as opened:
            return dict(opened.metadata() or {})
    except (OSError, SafetensorError):
        return {}
