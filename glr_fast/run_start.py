"""The start of a run: the accelerator it asks for, and the folder it may use."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from typing import Any

import torch
from accelerate import Accelerator
from accelerate.utils import (
    DistributedDataParallelKwargs,
    LoggerType,
    ProjectConfiguration,
    broadcast_object_list,
)

from glr_fast.checkpoint import CONFIG, TrainState, newest_checkpoint, write_atomically
from glr_fast.config import Config, changed_for_resume, flat
from glr_fast.data import Store
from glr_fast.errors import ConfigError


def open_accelerator(config: Config) -> Accelerator:
    """The accelerator for a run: precision, tracker, and DDP's options.

    Raises:
        ConfigError: a tracker or a precision that is not to be had here.
    """
    # Frozen layers have no gradients, which DDP must be told to look for, at some cost.
    ddp = DistributedDataParallelKwargs(find_unused_parameters=config.model.freeze_epochs > 0)
    folder, known = str(config.out), ["none", *map(str, LoggerType)]
    if config.tracker not in known:
        raise ConfigError(f"--tracker {config.tracker}: unknown; there are {', '.join(known)}")
    try:
        accelerator = Accelerator(
            mixed_precision=None if config.precision == "auto" else config.precision,
            log_with=None if config.tracker == "none" else config.tracker,
            project_config=ProjectConfiguration(folder, logging_dir=f"{folder}/logs"),
            kwargs_handlers=[ddp],
        )
    except ValueError as error:
        raise ConfigError(f"--precision {config.precision}: {error}") from None
    if config.tracker != "none" and not accelerator.log_with:
        raise ConfigError(
            f"--tracker {config.tracker}: its package is not installed; install it, or take "
            "--tracker tensorboard or none"
        )
    if accelerator.device.type == "cuda":
        torch.set_float32_matmul_precision("high")
        torch.backends.cudnn.benchmark = True  # every batch has the same shape
    return accelerator


def agree(accelerator: Accelerator, check: Callable[[], Any]) -> Any:
    """Run ``check`` on the main process; all get its result, or all raise its ConfigError."""
    answer: list[Any] = [None, None]
    if accelerator.is_main_process:
        try:
            answer[0] = check()
        except ConfigError as error:
            answer[1] = str(error)
    if accelerator.num_processes > 1:
        broadcast_object_list(answer)
    if answer[1] is not None:
        raise ConfigError(answer[1])
    return answer[0]


def check_folder(config: Config, store: Store) -> TrainState | None:
    """What to continue from, or None for a start.

    Raises:
        ConfigError: the folder holds a run and ``--resume`` is not given, or it holds another run.
    """
    run = config.out
    if run.exists() and not run.is_dir():
        raise ConfigError(f"--out {run}: not a folder")
    file = run / CONFIG
    if not config.resume:
        if run.is_dir() and any(run.iterdir()):
            what = "already holds a run" if file.is_file() else "is not empty"
            raise ConfigError(f"--out {run} {what}; continue it with --resume, or give another")
        return None
    checkpoint = newest_checkpoint(run)
    if checkpoint is None:
        return None
    old = Config.from_json(file.read_text(), str(file)) if file.is_file() else config
    state = TrainState.read(checkpoint)
    _check_same(config, old, state, store)
    return state


def write_config(config: Config) -> None:
    """Write the run folder's ``config.json``."""
    config.out.mkdir(parents=True, exist_ok=True)
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


def _check_same(config: Config, old: Config, state: TrainState, store: Store) -> None:
    """A resumed run must be the same run."""
    changed = changed_for_resume(old, config)
    if changed:
        said = ", ".join(f"--{k} was {was} and is {now}" for k, (was, now) in changed.items())
        raise ConfigError(
            f"--resume: {config.out} was started with different options: {said}; give the "
            "old values, or start a new run with another --out"
        )
    if state.num_classes != store.num_classes:
        raise ConfigError(
            f"--resume: {config.out} has {state.num_classes} classes, {config.data.store} has "
            f"{store.num_classes}; give the store it was started with, or start a new run with "
            "another --out"
        )
    if state.store != fingerprint(store):
        raise ConfigError(
            f"--resume: {config.out} was started with another store than {config.data.store} "
            "(other shards); give that store, or start a new run with another --out"
        )
