"""Ours with DALI's CPU backend."""

from __future__ import annotations

from collections.abc import Iterator

import torch

from benchmarks.peers import Job, glr_cpu

TITLE = "glr-fast, `dali` backend"


def prepare(job: Job) -> None:
    """Reads the store itself."""


def batches(job: Job) -> Iterator[torch.Tensor]:
    """Images of shape (batch, 3, size, size), uint8, channels last in memory."""
    return glr_cpu.batches(job, "dali")
