"""Process settings that training on a CPU wants, made before torch is loaded.

Threads that spin while they wait steal the cores that others work on, and memory given back to the
system after each step costs page faults to get again. What a user has set in the environment stays.
"""

from __future__ import annotations

import ctypes
import os

_M_TRIM_THRESHOLD, _M_MMAP_THRESHOLD = -1, -3  # of <malloc.h>
_LARGEST_INT = 2**31 - 1


def apply_cpu_settings() -> None:
    """Let OpenMP threads sleep while they wait, and let malloc keep freed memory.

    Call it before torch is imported: OpenMP reads its settings once, when it is loaded.
    """
    os.environ.setdefault("OMP_WAIT_POLICY", "passive")
    _keep_freed_memory()


def _keep_freed_memory() -> bool:
    """Serve allocations up to 2 GiB from the heap and never trim it; False where that fails."""
    set_by_user = {"MALLOC_TRIM_THRESHOLD_", "MALLOC_MMAP_THRESHOLD_", "GLIBC_TUNABLES"}
    if set_by_user & os.environ.keys():
        return False
    try:
        mallopt = ctypes.CDLL(None).mallopt
    except (OSError, AttributeError, TypeError):  # not glibc
        return False
    # The threshold of mmap also ends its automatic growth, which would undo that of trimming.
    return all(mallopt(what, _LARGEST_INT) for what in (_M_MMAP_THRESHOLD, _M_TRIM_THRESHOLD))
