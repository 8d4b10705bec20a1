"""How much memory can be had on this machine."""

from __future__ import annotations

from pathlib import Path

_CGROUP = Path("/sys/fs/cgroup/memory.max")
_MEMINFO = Path("/proc/meminfo")


def free_memory(meminfo: Path = _MEMINFO, cgroup: Path = _CGROUP) -> int | None:
    """Bytes that can be had, at most those of the container; None where nobody says."""
    try:
        lines = meminfo.read_text().splitlines()
        said = dict(line.split(":", 1) for line in lines if ":" in line)
        free = int(said["MemAvailable"].split()[0]) * 1024
    except (OSError, KeyError, ValueError, IndexError):
        return None
    try:
        return min(free, int(cgroup.read_text()))
    except (OSError, ValueError):  # no container, or no limit: "max"
        return free
