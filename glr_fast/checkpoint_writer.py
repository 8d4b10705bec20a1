"""Writes checkpoints and best weights in the background, from copies in memory; loads them again.

Training waits for the copy, not for the disk. Memory that is new from the system takes four times
as long as the copy: :meth:`CheckpointWriter.reserve` gets it before the first save.
"""

from __future__ import annotations

import shutil
from collections import deque
from collections.abc import Callable, Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

import safetensors.torch
import torch
from safetensors import SafetensorError
from torch import Tensor, nn

from glr_fast.checkpoint import (
    STATE,
    WEIGHTS,
    TrainState,
    checkpoint_folders,
    digest_of_file,
    newest_checkpoint,
    read_state,
    save_best,
    step_of,
)
from glr_fast.cpu_copies import copied, room_for
from glr_fast.errors import ConfigError, TrainingError
from glr_fast.whole_files import publish, write_weights

OPTIMIZER = "optimizer.bin"
TRAINED = "trained.safetensors"
SCALER = "scaler.pt"


@dataclass(frozen=True)
class Parts:
    """What a checkpoint holds besides the trainer's state."""

    model: Mapping[str, Tensor]
    """Weights to evaluate with, by the bare model's names."""
    optimizer: Mapping[str, Any]
    """The optimiser's state."""
    scaler: Mapping[str, Any] | None = None
    """The gradient scaler's state, with fp16."""
    trained: Mapping[str, Tensor] | None = None
    """The weights that are trained, where ``model`` is their moving average."""


class CheckpointWriter:
    """Writes one checkpoint at a time, in a thread; the next one waits for the one before.

    What goes wrong in the thread is raised by the next call of any method.

    Args:
        run: the run folder.
        keep: checkpoints that stay.
    """

    def __init__(self, run: Path, keep: int) -> None:
        self._run, self._keep = run, keep
        self._thread = ThreadPoolExecutor(1, "checkpoint")
        self._jobs: deque[Future[None]] = deque()
        self._copies: dict[str, Any] = {}
        self._copied_step: int | None = None
        self._reserved = False

    def reserve(self, parts: Callable[[], Parts]) -> None:
        """Get the memory of the copies in the background, so that the first save finds it there.

        Only the first call does.

        Args:
            parts: gives model, optimiser and scaler; only their shapes count.
        """
        if not self._reserved:
            self._reserved = True
            self._submit(partial(self._reserve, parts()))

    def save(self, state: TrainState, parts: Parts, export: Mapping[str, bytes]) -> None:
        """Copy everything, then write it as a checkpoint in the background.

        Args:
            state: the trainer's state.
            parts: model, optimiser and scaler, as they are now.
            export: files to lie beside the weights, by name.

        Raises:
            TrainingError: an earlier write failed.
        """
        self.wait()
        copies = self._copies
        for name, value in vars(parts).items():
            copies[name] = copied(value, copies.get(name))
        self._copied_step = state.step
        kept = Parts(**{name: copies[name] for name in vars(parts)})
        self._submit(partial(write_checkpoint, self._run, state, kept, export, self._keep))

    def evaluated(
        self,
        step: int,
        best: Mapping[str, float] | None,
        better: Mapping[str, Tensor] | None,
        export: Mapping[str, bytes],
    ) -> None:
        """Write down an evaluation: best weights, and that the checkpoint of the step has had it.

        Args:
            step: at which was evaluated.
            best: figures of the best weights so far.
            better: the present weights if they are those, else None.
            export: files to lie beside the weights, by name.

        Raises:
            TrainingError: an earlier write failed.
        """
        self.poll()
        weights = None
        if better is not None:
            if self._copied_step != step:
                self.wait()
                self._copies["model"] = copied(better, self._copies.get("model"))
                self._copied_step = step
            weights = self._copies["model"]
        note = {"step": step, **(best or {})}
        self._submit(partial(_write_evaluated, self._run, step, best, weights, export, note))

    def poll(self) -> None:
        """Raise what a finished write ran into; returns at once."""
        while self._jobs and self._jobs[0].done():
            self._jobs.popleft().result()

    def wait(self) -> None:
        """Wait until all is written.

        Raises:
            TrainingError: it could not be.
        """
        while self._jobs:
            self._jobs.popleft().result()

    def close(self) -> None:
        """Wait for what is being written and end the thread; raises nothing."""
        self._thread.shutdown(wait=True)

    def _reserve(self, parts: Parts) -> None:
        self._copies = room_for(vars(parts))

    def _submit(self, job: Callable[[], object]) -> None:
        self._jobs.append(self._thread.submit(_explained, self._run, job))


def write_checkpoint(
    run: Path, state: TrainState, parts: Parts, export: Mapping[str, bytes], keep: int
) -> Path:
    """Write a checkpoint, then drop all but the newest ``keep``; returns its folder.

    Checkpoints of later steps are dropped too: the run has left them behind, because they are
    damaged.

    Raises:
        TrainingError: the weights are not finite.
        OSError, RuntimeError, SafetensorError: it cannot be written; nothing of it stays.
    """
    for weights in (parts.model, parts.trained or {}):
        _check_finite(weights, state.step)
    folder = run / "checkpoints" / f"step-{state.step:08d}"
    temporary = folder.with_name(f".{folder.name}.tmp")
    for old in folder.parent.glob(".step-*.tmp"):  # of a run that was killed
        shutil.rmtree(old, ignore_errors=True)
    try:
        temporary.mkdir(parents=True)
        write_weights(parts.model, temporary / WEIGHTS, {})
        if parts.trained is not None:
            write_weights(parts.trained, temporary / TRAINED, {})
        for name, value in ((OPTIMIZER, parts.optimizer), (SCALER, parts.scaler)):
            if value is not None:
                torch.save(value, temporary / name)
        for name, content in export.items():
            (temporary / name).write_bytes(content)
        written = sorted(temporary.iterdir())
        files = {file.name: (file.stat().st_size, digest_of_file(file)) for file in written}
        state.write(temporary, files)
        publish(temporary, folder)
    except BaseException:
        shutil.rmtree(temporary, ignore_errors=True)
        raise
    there = checkpoint_folders(run)
    past = [other for other in there if step_of(other) <= state.step]
    for old in {*there} - {*past[-keep:]}:
        shutil.rmtree(old, ignore_errors=True)  # what stays, of a file in use, goes another time
    return folder


def load_checkpoint(
    folder: Path,
    model: nn.Module,
    optimizer: Any,
    scaler: Any = None,
    average: nn.Module | None = None,
) -> None:
    """Load a checkpoint into the bare model, the optimiser, and the others, if any.

    A scaler starts anew where the checkpoint, of a run in another precision, has none.

    Args:
        folder: a whole checkpoint.
        model: the bare model.
        optimizer: as Accelerate has prepared it.
        scaler: of the gradients, with fp16.
        average: the model that holds the moving average of the weights.

    Raises:
        ConfigError: damaged.
    """
    try:
        weights = safetensors.torch.load_file(folder / WEIGHTS)
        if average is not None:
            average.load_state_dict(weights)
            weights = safetensors.torch.load_file(folder / TRAINED)
        model.load_state_dict(weights)
        optimizer.load_state_dict(_load(folder / OPTIMIZER))
        if scaler is not None and (folder / SCALER).is_file():
            scaler.load_state_dict(_load(folder / SCALER))
    except (OSError, RuntimeError, ValueError, KeyError, EOFError, SafetensorError) as error:
        raise ConfigError(f"{folder}: cannot be loaded ({_short(error)})") from None


def _write_evaluated(
    run: Path,
    step: int,
    best: Mapping[str, float] | None,
    weights: Mapping[str, Tensor] | None,
    export: Mapping[str, bytes],
    note: Mapping[str, Any],
) -> None:
    if weights is not None:
        _check_finite(weights, step)
        save_best(run, weights, export, note)
    folder = run / "checkpoints" / f"step-{step:08d}"
    if (folder / STATE).is_file():
        state, files = read_state(folder)
        replace(state, best=None if best is None else dict(best), evaluated=True).write(
            folder, files
        )


def _explained(run: Path, job: Callable[[], object]) -> None:
    try:
        job()
    except (OSError, RuntimeError, SafetensorError) as error:
        saved = newest_checkpoint(run)
        where = f"the last checkpoint, {saved}, is whole" if saved else "there is no checkpoint yet"
        raise TrainingError(
            f"{run}: a checkpoint cannot be written ({_short(error)}); {where}; make room, then "
            "continue with the same command and --resume"
        ) from error


def _check_finite(weights: Mapping[str, Tensor], step: int) -> None:
    for name, value in weights.items():
        if value.is_floating_point() and not bool(value.isfinite().all()):
            raise TrainingError(
                f"{name} is not finite at step {step}; these weights were not saved; lower "
                "--optim.lr or lengthen --optim.warmup-epochs"
            )


def _load(file: Path) -> Any:
    return torch.load(file, map_location="cpu", weights_only=True)


def _short(error: Exception) -> str:
    reason = getattr(error, "strerror", None) or str(error)
    return " ".join(str(reason).split())[:200]
