"""``environment.txt`` of a run: what it ran on, with which versions, from which commit."""

from __future__ import annotations

import os
import platform
import shlex
import subprocess
import sys
import time
from importlib import metadata
from pathlib import Path

import torch
from accelerate import Accelerator

from glr_fast.data import usable_cores
from glr_fast.whole_files import write_atomically

FILE = "environment.txt"

_PACKAGES = (
    "glr-fast",
    "torch",
    "torchvision",
    "timm",
    "accelerate",
    "nvidia-dali-cuda130",
    "nvidia-dali-cuda120",
    "nvidia-nvimgcodec-cu13",
    "nvidia-nvimgcodec-cu12",
    "opencv-python-headless",
    "numpy",
    "pyarrow",
    "safetensors",
    "scikit-learn",
)


def write_environment(run: Path, accelerator: Accelerator, step: int) -> None:
    """Write what the run runs on; a resumed run adds to what its earlier parts wrote."""
    file = run / FILE
    before = file.read_text(errors="replace") + "\n" if file.is_file() and step else ""
    write_atomically(file, before + describe(accelerator, step))


def describe(accelerator: Accelerator, step: int) -> str:
    """One line a fact."""
    cores = f"{usable_cores()} of {os.cpu_count()} cores"
    memory = os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE") / 2**30
    facts = {
        "started": f"{time.strftime('%Y-%m-%d %H:%M:%S %z')} at step {step}",
        "command": shlex.join(sys.argv),
        "commit": _commit(),
        "machine": f"{platform.node()}, {platform.platform()}",
        "cpu": f"{_cpu()}, {cores}, {memory:.0f} GiB of memory",
        "processes": f"{accelerator.num_processes} on {accelerator.device.type}, precision "
        f"{accelerator.mixed_precision}",
        "threads": f"{torch.get_num_threads()} of torch a process",
        "python": platform.python_version(),
    }
    if torch.cuda.is_available():
        for number in range(torch.cuda.device_count()):
            gpu = torch.cuda.get_device_properties(number)
            facts[f"gpu {number}"] = f"{gpu.name}, {gpu.total_memory / 2**30:.0f} GiB"
        facts["cuda"] = f"{torch.version.cuda}, cuDNN {torch.backends.cudnn.version()}"
    for name in _PACKAGES:
        try:
            facts[name] = metadata.version(name)
        except metadata.PackageNotFoundError:
            continue
    return "".join(f"{name}: {value}\n" for name, value in facts.items())


def _commit() -> str:
    """The commit of the code, and whether it has been changed since."""
    home = Path(__file__).resolve().parents[1]
    try:
        asked = ["rev-parse", "HEAD"], ["status", "--porcelain", "--untracked-files=no"]
        commit, changes = (
            subprocess.run(
                ["git", "-C", str(home), *arguments],
                capture_output=True,
                text=True,
                timeout=10,
                check=True,
            ).stdout.strip()
            for arguments in asked
        )
    except (OSError, subprocess.SubprocessError):
        return "unknown (not a git checkout)"
    return f"{commit}, with changes" if changes else commit


def _cpu() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        lines = []
    names = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return names[0] if names else platform.machine()
