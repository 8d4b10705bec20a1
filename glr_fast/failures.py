"""What went wrong in a training, in the words that its user needs, and by which process."""

from __future__ import annotations

import errno
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path

import torch
import torch.distributed as dist
from accelerate import Accelerator
from torch.distributed.distributed_c10d import _get_default_store

from glr_fast.checkpoint import newest_checkpoint
from glr_fast.data import StoreError
from glr_fast.errors import ConfigError, TrainingError, mark_rank

_DISK = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EROFS, errno.EIO)
_LOST = ("gloo", "nccl", "connection closed by peer", "connection reset by peer", "broken pipe")
_KEY = "glr-fast/error-of-rank-0"
_PATIENCE = timedelta(seconds=3)
"""How long a process waits to hear whether the main one has the same error to show."""


@dataclass
class Progress:
    """How far a training has come."""

    set_up: bool = True
    """Whether it is still being prepared: all processes then check the same things."""


@contextmanager
def explained(accelerator: Accelerator, run: Path) -> Iterator[Progress]:
    """Turn what ends the block into an error of ours with a way out, named by its process.

    While a run is set up, an error that all processes find is the main one's to show.

    Raises:
        TrainingError: a disk is full, or another process has died.
        KeyboardInterrupt: with a message that says how to continue.
    """
    progress = Progress()
    try:
        yield progress
    except KeyboardInterrupt:
        raise KeyboardInterrupt(_way_on(run)) from None
    except Exception as error:
        known = _in_words(error, run, accelerator.num_processes > 1)
        if accelerator.num_processes > 1 and not (progress.set_up and _said_by_main(known)):
            mark_rank(known, accelerator.process_index)
        if known is error:
            raise
        raise known from error


def _in_words(error: Exception, run: Path, several: bool) -> Exception:
    if isinstance(error, OSError) and error.errno in _DISK:
        where = error.filename or run
        return TrainingError(f"{where}: {error.strerror}; make room; {_way_on(run)}")
    if isinstance(error, torch.OutOfMemoryError):
        return TrainingError(
            "the GPU has not enough memory; give a smaller --data.batch-size (with "
            "--optim.accumulate-steps the updates stay as large), or --precision bf16; "
            f"{_way_on(run)}"
        )
    if several and isinstance(error, RuntimeError):
        text = " ".join(str(error).split())
        if any(sign in text.lower() for sign in _LOST):
            return TrainingError(
                f"another process of the run has ended, see its message ({text[:160]}); "
                f"{_way_on(run)}"
            )
    return error


def _way_on(run: Path) -> str:
    saved = newest_checkpoint(run)
    where = f"last checkpoint {saved}" if saved else "no checkpoint yet"
    return f"{where}; continue with the same command and --resume"


def _said_by_main(error: Exception) -> bool:
    """Whether the main process shows this very error, so that this one need not."""
    if not isinstance(error, ConfigError | StoreError):
        return False
    try:
        store = _get_default_store()
        if dist.get_rank() == 0:
            store.set(_KEY, str(error))
            return True
        store.wait([_KEY], _PATIENCE)
        return store.get(_KEY).decode() == str(error)
    except (RuntimeError, ValueError):  # the main process has no error, or is gone
        return False
