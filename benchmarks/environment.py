"""Where a figure was measured: machine, versions, commit."""

from __future__ import annotations

import importlib.metadata
import os
import platform
import subprocess
from pathlib import Path

from glr_fast.data import usable_cores

PACKAGES = (
    "torch",
    "timm",
    "nvidia-dali-cuda130",
    "nvidia-nvimgcodec-cu13",
    "opencv-python-headless",
)

#: Decide how fast the same step is, by the flag of Linux.
INSTRUCTIONS = {"AVX2": "avx2", "AVX-512": "avx512f", "AMX": "amx_tile"}


def repository() -> Path:
    """The root of the working tree."""
    return Path(__file__).resolve().parents[1]


def commit() -> str:
    """The commit that is checked out, marked if files differ from it.

    Results do not count: a benchmark that draws its plot first would call itself dirty.
    """
    told = os.environ.get("GLR_COMMIT")  # a copy without its history
    if told:
        return told
    name = _git("describe", "--always", "--abbrev=12")
    changed = _git("status", "--porcelain", "--", ".", ":!benchmarks/results")
    return f"{name}-dirty" if changed else name or "unknown"


def _git(*words: str) -> str:
    done = subprocess.run(["git", *words], cwd=repository(), capture_output=True, text=True)
    return done.stdout.strip()


def processor(info: Path = Path("/proc/cpuinfo")) -> str:
    """Name of the CPU, and the wide instructions it has: a name such as Xeon does not tell."""
    if not info.is_file():
        return platform.processor() or platform.machine()
    lines = (line.partition(":") for line in info.read_text().splitlines())
    said = {key.strip(): value.strip() for key, _, value in lines}
    flags = said.get("flags", "").split()
    wide = [name for name, flag in INSTRUCTIONS.items() if flag in flags]
    name = said.get("model name") or platform.processor() or platform.machine()
    return f"{name} ({', '.join(wide)})" if wide else name


def gpu() -> str:
    """Name and driver of the GPU, or that there is none."""
    try:
        done = subprocess.run(
            ["nvidia-smi", "--query-gpu=name,driver_version", "--format=csv,noheader"],
            capture_output=True,
            text=True,
            check=False,
        )
    except OSError:
        return "no GPU"
    return done.stdout.strip().replace("\n", "; ") or "no GPU"


def describe() -> str:
    """One paragraph for a page of results."""
    versions = ", ".join(f"{name} {importlib.metadata.version(name)}" for name in PACKAGES)
    return (
        f"Machine: {processor()}, {usable_cores()} cores, {gpu()}; Python "
        f"{platform.python_version()}, {versions}; commit {commit()}."
    )
