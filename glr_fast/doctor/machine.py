"""Checks of the machine: Python, cores, memory, limits, disk."""

from __future__ import annotations

import os
import platform
import resource
import shutil
import tempfile
import time
from pathlib import Path

from glr_fast.data import usable_cores
from glr_fast.doctor.findings import Finding
from glr_fast.free_memory import free_memory

GIB = 2**30
MIB = 2**20


def python() -> Finding:
    """The interpreter and the system."""
    return Finding("ok", "Python", f"{platform.python_version()} on {platform.platform()}")


def cores() -> Finding:
    """Cores that this process may use."""
    count, all_of_them = usable_cores(), os.cpu_count() or 1
    found = f"{count} of {all_of_them} cores usable"
    if count < all_of_them:
        return Finding("note", "CPU", found, "a container or taskset limits this process")
    return Finding("ok", "CPU", found)


def memory() -> Finding:
    """Memory of the machine, and what of it can be had; the cache of files counts as free."""
    pages = os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE") / GIB
    free = free_memory()
    found = f"{pages:.0f} GiB" + ("" if free is None else f", {free / GIB:.0f} GiB free")
    return Finding("ok", "memory", found)


def shared_memory() -> Finding:
    """Size of /dev/shm, through which processes hand each other data."""
    shm = Path("/dev/shm")
    if not shm.is_dir():
        return Finding("note", "/dev/shm", "not there", "NCCL between GPUs of one machine wants it")
    size = shutil.disk_usage(shm).total / GIB
    if size < 1:
        advice = "start the container with --shm-size=8g: NCCL fails on several GPUs without it"
        return Finding("note", "/dev/shm", f"{size * 1024:.0f} MiB", advice)
    return Finding("ok", "/dev/shm", f"{size:.0f} GiB")


def open_files() -> Finding:
    """How many files a process may hold open; each shard in use is one."""
    soft, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    if 0 <= soft < 4096:
        advice = "ulimit -n 65536 before training: every shard in use is an open file"
        return Finding("note", "open files", f"at most {soft}", advice)
    return Finding("ok", "open files", f"at most {soft}")


def disk(folder: Path, size: int = 256 * MIB) -> Finding:
    """Read a file back from the disk that holds ``folder``, past the page cache.

    Args:
        folder: where a store lies or will lie; must exist.
        size: bytes to write and read.
    """
    subject, block = "disk", os.urandom(4 * MIB)
    free = shutil.disk_usage(folder).free
    if free < 4 * size:
        return Finding("fault", subject, f"{folder}: {free / GIB:.1f} GiB free", "make room")
    with tempfile.NamedTemporaryFile(dir=folder, prefix=".glr-doctor-") as file:
        for _ in range(size // len(block)):
            file.write(block)
        file.flush()
        os.fsync(file.fileno())
        os.posix_fadvise(file.fileno(), 0, 0, os.POSIX_FADV_DONTNEED)
        file.seek(0)
        start = time.perf_counter()
        while file.read(len(block)):
            pass
        rate = size / MIB / (time.perf_counter() - start)
    found = f"{folder}: reads {rate:,.0f} MiB/s, {free / GIB:.0f} GiB free"
    if rate < 100:
        advice = (
            "slow for a GPU: pack with --resize-short, read in order with --data.shuffle-window"
        )
        return Finding("note", subject, found, advice)
    return Finding("ok", subject, found)
