"""How a command ends: its exit code, and a line that says why."""

from __future__ import annotations

import errno
import os
import sys
import traceback
from collections.abc import Callable
from typing import NoReturn

from glr_fast.cpu_settings import apply_cpu_settings
from glr_fast.errors import ConfigError, TrainingError, rank_of
from glr_fast.launching import end_with_launcher
from glr_fast.missing import advice

FAILED = 1
BAD_INPUT = 2
INTERRUPTED = 130

_OF_PLACES = {
    *(errno.EACCES, errno.EPERM, errno.EROFS, errno.ENOSPC, errno.EDQUOT, errno.EIO),
    *(errno.EISDIR, errno.ENOTDIR, errno.ENAMETOOLONG, errno.ELOOP),
}
"""What a file that the user has named, or its disk, may be: not a fault of ours."""


def run_command(work: Callable[[], object]) -> NoReturn:
    """Run a script's work and end the process: 0 when done, 2 with one line for bad input.

    1 with one line for a training that cannot go on; anything else is a fault, with its traceback.
    """
    apply_cpu_settings()
    end_with_launcher()
    try:
        _warn_of_lost_processes()
        work()
    except ConfigError as error:
        _fail(error, BAD_INPUT)
    except TrainingError as error:
        _fail(error, FAILED)
    except BrokenPipeError:  # the reader of a pipe, such as head, has seen enough
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        sys.exit(FAILED)
    except KeyboardInterrupt as interrupt:
        if os.environ.get("RANK", "0") == "0":
            print(f"interrupted: {str(interrupt) or 'nothing was saved'}", file=sys.stderr)
        _leave(INTERRUPTED)
    except ModuleNotFoundError as error:
        text = advice(error)
        if text is None:
            raise
        _fail(ConfigError(text), BAD_INPUT)
    except Exception as error:
        # Raised by the loader, so its module is loaded by now.
        from glr_fast.data import StoreError

        if isinstance(error, StoreError):
            _fail(error, BAD_INPUT)
        if isinstance(error, OSError) and error.errno in _OF_PLACES and error.filename is not None:
            _fail(ConfigError(f"{error.filename}: {error.strerror}"), BAD_INPUT)
        if isinstance(error, OSError) and error.errno in (errno.ENOSPC, errno.EDQUOT):
            said = f"the disk is full ({error.strerror}); make room, then run this again"
            _fail(ConfigError(said), BAD_INPUT)
        if rank_of(error) is None:
            raise
        print(f"fault on rank {rank_of(error)}:", file=sys.stderr)
        traceback.print_exc()
        _leave(FAILED)
    sys.exit(0)


def _fail(error: Exception, code: int) -> NoReturn:
    rank = rank_of(error)
    if rank is not None:
        print(f"error on rank {rank}: {error}", file=sys.stderr)
    elif os.environ.get("RANK", "0") == "0":
        print(f"error: {error}", file=sys.stderr)
    _leave(code)


def _leave(code: int) -> NoReturn:
    """End the process; one of several at once, since to wait for the others then can hang."""
    if os.environ.get("WORLD_SIZE", "1") == "1":
        sys.exit(code)
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(code)


def _warn_of_lost_processes() -> None:
    """``accelerate launch --cpu --num_processes 2`` starts one process and says nothing: say it.

    That launcher sets a rendezvous address only when several processes were asked for, and no
    world size. A shell that exports MASTER_PORT itself looks the same, hence a warning only.
    """
    environment = os.environ
    launched = "ACCELERATE_MIXED_PRECISION" in environment and "MASTER_PORT" in environment
    sizes = ("WORLD_SIZE", "LOCAL_RANK", "PMI_SIZE", "OMPI_COMM_WORLD_SIZE", "MV2_COMM_WORLD_SIZE")
    if launched and not any(name in environment for name in sizes):
        print(
            "warning: accelerate launch started one process only, though it was set up for several "
            "(its --cpu mode does so without MPI); two CPU processes: ACCELERATE_USE_CPU=true "
            "accelerate launch --config_file launch/accelerate/two_cpu_processes.yaml ...",
            file=sys.stderr,
        )
