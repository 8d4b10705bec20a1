"""How a process of ours lives with the launcher that started it (accelerate launch, torchrun)."""

from __future__ import annotations

import ctypes
import os
import signal
from pathlib import Path

_PR_SET_PDEATHSIG = 1  # of <linux/prctl.h>
_LAUNCHERS = (b"accelerate", b"torchrun", b"torch.distributed", b"glr-launch", b"glr_fast")


def end_with_launcher() -> None:
    """Have the system send SIGTERM to this process when its launcher dies: it then saves and ends.

    A launcher of one process hands no signals on; without this, its training would go on as an
    orphan. A process that was started from a shell is left alone: it may outlive the shell.
    """
    parent = os.getppid()
    if not _is_launcher(parent):
        return
    try:
        ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, int(signal.SIGTERM), 0, 0, 0)
    except (OSError, AttributeError, TypeError):  # not Linux
        return
    if os.getppid() != parent:  # it has died in between
        os.kill(os.getpid(), signal.SIGTERM)


def _is_launcher(process: int) -> bool:
    launched = {"ACCELERATE_MIXED_PRECISION", "LOCAL_RANK"} & os.environ.keys()
    if not launched:
        return False
    try:
        command = Path(f"/proc/{process}/cmdline").read_bytes()
    except OSError:
        return False
    return any(name in command for name in _LAUNCHERS)
