"""Runs all checks."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path

from glr_fast.doctor import decoders, machine
from glr_fast.doctor.findings import Finding

Check = Callable[[], Finding]


def examine(folder: Path) -> Iterator[Finding]:
    """Run each check; a check that fails with an exception is a fault.

    Args:
        folder: where a store lies or will lie; its disk is measured.
    """
    checks: list[tuple[str, Check]] = [
        ("Python", machine.python),
        ("packages", decoders.versions),
        ("CPU", machine.cores),
        ("memory", machine.memory),
        ("GPU", decoders.gpu),
        ("torch", decoders.torch_device),
        ("processes", decoders.nccl),
        ("nvImageCodec, CPU", decoders.nvimgcodec_cpu),
        ("nvImageCodec, GPU", decoders.nvimgcodec_gpu),
        ("DALI on the CPU", decoders.dali_cpu),
        ("DALI on the GPU", decoders.dali_gpu),
        ("JPEG engine", decoders.hardware_jpeg),
        ("/dev/shm", machine.shared_memory),
        ("open files", machine.open_files),
        ("disk", partial(machine.disk, folder)),
    ]
    for subject, check in checks:
        yield guarded(subject, check)


def guarded(subject: str, check: Check) -> Finding:
    """What a check finds; a missing package or an exception is a fault."""
    try:
        return check()
    except ImportError as error:
        advice = "pip install 'glr-fast[train]'"
        return Finding("fault", subject, f"cannot be loaded: {error}", advice)
    except Exception as error:
        text = " ".join(f"{type(error).__name__}: {error}".split())[:300]
        return Finding("fault", subject, text, "see the message of the library")
