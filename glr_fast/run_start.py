"""The start of a run: the accelerator it asks for, and the folder it may use."""

from __future__ import annotations

import hashlib
import shlex
import shutil
import sys
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, get_args

import pyarrow as pa
import pyarrow.parquet as pq
import torch
from accelerate import Accelerator
from accelerate.utils import (
    DDPCommunicationHookType,
    DistributedDataParallelKwargs,
    LoggerType,
    ProjectConfiguration,
    broadcast_object_list,
)
from torch import nn

from glr_fast.bfloat16 import bfloat16_warning
from glr_fast.checkpoint import (
    CONFIG,
    METRICS,
    WEIGHTS,
    TrainState,
    best_note,
    checkpoint_folders,
    newest_usable_checkpoint,
)
from glr_fast.config import Config, Monitor, changed_for_resume, flat
from glr_fast.data import Loader, Rank, Store, bad_samples_file, open_loader
from glr_fast.data.opening import EpochIndex
from glr_fast.errors import ConfigError
from glr_fast.gpu_settings import apply_gpu_settings
from glr_fast.run_folders import runs_in
from glr_fast.run_lock import LOCK
from glr_fast.whole_files import write_atomically


def open_accelerator(config: Config) -> Accelerator:
    """The accelerator for a run: precision, tracker, and DDP's options.

    Raises:
        ConfigError: a tracker or a precision that is not to be had here.
    """
    folder, known = str(config.out), ["none", *map(str, LoggerType)]
    if config.tracker not in known:
        raise ConfigError(f"--tracker {config.tracker}: unknown; there are {', '.join(known)}")
    try:
        accelerator = Accelerator(
            mixed_precision=None if config.precision == "auto" else config.precision,
            log_with=None if config.tracker == "none" else config.tracker,
            project_config=ProjectConfiguration(folder, logging_dir=f"{folder}/logs"),
            kwargs_handlers=[ddp_options(config)],
        )
    except ValueError as error:
        raise ConfigError(f"--precision {config.precision}: {error}") from None
    if config.tracker != "none" and not accelerator.log_with:
        raise ConfigError(
            f"--tracker {config.tracker}: its package is not installed; install it, or take "
            "--tracker tensorboard or none"
        )
    if accelerator.device.type == "cpu" and accelerator.mixed_precision == "fp16":
        raise ConfigError(
            "--precision fp16 needs a GPU, and there is none; take --precision bf16 or no"
        )
    slow = bfloat16_warning(accelerator.mixed_precision, accelerator.device)
    if slow and accelerator.is_main_process:
        _warn(slow)
    apply_gpu_settings(accelerator.device)
    return accelerator


def ddp_options(config: Config) -> DistributedDataParallelKwargs:
    """How processes exchange gradients."""
    hook = DDPCommunicationHookType
    return DistributedDataParallelKwargs(
        # Frozen layers have no gradients, which DDP must be told to look for, at some cost.
        find_unused_parameters=config.model.freeze_epochs > 0,
        # The gradients lie in DDP's buckets: one copy of them less, in memory and in time.
        gradient_as_bucket_view=True,
        # Batch norms train by their own batch's statistics; the running ones, of which the main
        # process's are saved, are shared before an evaluation and need not be before each step.
        broadcast_buffers=False,
        comm_hook=hook.BF16 if config.optim.compress_gradients else hook.NO,
    )


def agree(accelerator: Accelerator, check: Callable[[], Any]) -> Any:
    """Run ``check`` on the main process; all get its result, or all raise its error in a line.

    Raises:
        ConfigError: the main process has raised one, or any other error on the other processes.
    """
    answer: list[Any] = [None, None]
    failed: Exception | None = None
    if accelerator.is_main_process:
        try:
            answer[0] = check()
        except Exception as error:  # the others wait for an answer, whatever it is
            answer[1], failed = str(error), error
    if accelerator.num_processes > 1:
        broadcast_object_list(answer)
    if failed is not None:
        raise failed
    if answer[1] is not None:
        raise ConfigError(answer[1])
    return answer[0]


@dataclass(frozen=True)
class Continuation:
    """What a run continues from."""

    folder: Path
    """A whole checkpoint."""
    state: TrainState
    """The trainer's part of it."""


def check_folder(config: Config, store: Store) -> Continuation | None:
    """What to continue from, or None for a start.

    Raises:
        ConfigError: the folder holds a run and ``--resume`` is not given, it holds another run, or
            all its checkpoints are damaged.
    """
    run = config.out
    if not config.resume:
        _check_new(run)
        return None
    folder = newest_usable_checkpoint(run, _warn)
    file = run / CONFIG
    if folder is None and not file.is_file() and _others_in(run):
        raise ConfigError(f"--out {run}: is not empty, and holds no run to continue; give another")
    old = Config.from_json(file.read_text(), str(file)) if file.is_file() else config
    _check_options(config, old)
    if folder is None:
        if _others_in(run):
            best = ", and best/ stays until weights are better" if best_note(run) else ""
            _warn(f"{run}: no checkpoint to continue from; starting from the beginning{best}")
        else:
            there = "".join(f"; there is {other}" for other in runs_in(run.parent)[-3:])
            _warn(f"--resume: {run} is no run to continue, a new one begins{there}")
        return None
    state = TrainState.read(folder)
    _check_same(config, state, store)
    return Continuation(folder, state)


def best_before(run: Path) -> dict[str, float] | None:
    """The figures of the weights in ``best/``; None where there are none."""
    note = best_note(run)
    known = {name: float(note[name]) for name in get_args(Monitor) if name in note}
    return known if len(known) == len(get_args(Monitor)) else None


def _others_in(run: Path) -> set[str]:
    """What is in a folder, but for the lock of this process and what a search has put there."""
    return {path.name for path in run.iterdir()} - _NOT_OF_A_RUN if run.is_dir() else set()


_NOT_OF_A_RUN = {LOCK, "trial.json", "train.log"}


def _check_new(run: Path) -> None:
    """A new run needs an empty folder, or one where a start has failed."""
    there = _others_in(run)
    if not there:
        return
    if CONFIG in there and not checkpoint_folders(run) and not (run / "best" / WEIGHTS).is_file():
        _warn(f"{run}: an earlier start has left no checkpoint; starting from the beginning")
        (run / METRICS).unlink(missing_ok=True)
        shutil.rmtree(run / "logs", ignore_errors=True)
        return
    if CONFIG not in there:
        raise ConfigError(f"--out {run} is not empty, and holds no run; give another folder")
    raise ConfigError(
        f"--out {run} already holds a run; continue it with --resume, or give another"
    )


def _warn(line: str) -> None:
    _say(f"warning: {line}")


def _say(line: str) -> None:
    print(line, file=sys.stderr, flush=True)


def with_fitting_batch(config: Config, store: Store, accelerator: Accelerator) -> Config:
    """The options with a global batch that is not larger than the training split, and a line."""
    photos, batch = len(store.split_rows("train")), config.data.batch_size
    fitting = photos - photos % accelerator.num_processes
    if batch <= photos or not fitting:
        return config
    if accelerator.is_main_process:
        _say(
            f"--data.batch-size {batch} is larger than the training split ({photos} photos): "
            f"taking {fitting}"
        )
    return replace(config, data=replace(config.data, batch_size=fitting))


def open_split(
    config: Config, store: Store, accelerator: Accelerator, split: str, size: int | None = None
) -> Loader:
    """This process's loader of a split: augmented for ``train``, to be evaluated for the others.

    The images have ``size`` pixels a side; None takes what the options say.
    """
    training = split == "train"
    size = size or (config.data.image_size if training else config.eval_size)
    return open_loader(
        store,
        split,
        replace(config.data, image_size=size, start_image_size=None),  # a loader has one size
        seed=config.seed,
        rank=Rank(accelerator.process_index, accelerator.num_processes),
        device=accelerator.device,
        train=training,
        bad_samples=config.out / bad_samples_file(accelerator.process_index),
    )


def share_buffers(accelerator: Accelerator, model: nn.Module) -> None:
    """Give all processes the main one's batch-norm statistics, which are what is saved."""
    if accelerator.num_processes > 1:
        for buffer in model.buffers():
            torch.distributed.broadcast(buffer, 0)


def classes_file(store: Store) -> bytes:
    """The classes of a store as the ``classes.parquet`` that lies beside weights."""
    classes = pa.BufferOutputStream()
    pq.write_table(store.classes(), classes)
    return classes.getvalue().to_pybytes()


def write_config(config: Config) -> None:
    """Write the run folder's ``config.json``."""
    write_atomically(config.out / CONFIG, config.to_json())


def start_trackers(accelerator: Accelerator, config: Config) -> None:
    """Open the trackers with the run's options as hyperparameters."""
    values = {k: v if isinstance(v, int | float) else str(v) for k, v in flat(config).items()}
    accelerator.init_trackers("", values)


def fingerprint(store: Store) -> str:
    """A digest of all shards: equal for equal contents, wherever the store lies."""
    digest = hashlib.sha256()
    for shard in store.manifest.shards:
        digest.update(f"{shard.name} {shard.sha256}\n".encode())
    return digest.hexdigest()


def contents(config: Config, store: Store) -> str:
    """A digest of all that a run's batches are made of: the shards, and the index if it has one."""
    name = config.data.index
    if name is None:
        return fingerprint(store)
    return f"{fingerprint(store)} {EpochIndex.digest(store, name)}"


def _check_options(config: Config, old: Config) -> None:
    """A resumed run must have the same options."""
    changed = changed_for_resume(old, config)
    if changed:
        said = ", ".join(f"--{k} was {was} and is {now}" for k, (was, now) in changed.items())
        raise ConfigError(
            f"--resume: {config.out} was started with different options: {said}; give the "
            f"old values, or start a new run from its weights: --init-from "
            f"{shlex.quote(str(config.out))} and another --out"
        )


def _check_same(config: Config, state: TrainState, store: Store) -> None:
    """A resumed run must have the same photos."""
    if state.num_classes != store.num_classes:
        raise ConfigError(
            f"--resume: {config.out} has {state.num_classes} classes, {config.data.store} has "
            f"{store.num_classes}; give the store it was started with, or start a new run with "
            "another --out"
        )
    if state.store != contents(config, store):
        raise ConfigError(
            f"--resume: {config.out} was started with another store than {config.data.store} "
            "(other shards, or another index); give that store, or start a new run with another "
            "--out"
        )
