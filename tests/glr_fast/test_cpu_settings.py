"""Memory and threads are set before torch is loaded, and a user's own settings win."""

from __future__ import annotations

import os
import platform
import subprocess
import sys

import pytest
import torch

from glr_fast.bfloat16 import bfloat16_warning

PROGRAM = """
import ctypes, os
from glr_fast.cpu_settings import apply_cpu_settings
apply_cpu_settings()
class Statistics(ctypes.Structure):
    _fields_ = [(str(i), ctypes.c_size_t) for i in range(4)] + [("mapped", ctypes.c_size_t)]
    _fields_ += [(str(i), ctypes.c_size_t) for i in range(5, 10)]
libc = ctypes.CDLL(None)
libc.mallinfo2.restype = Statistics
libc.malloc.restype, libc.malloc.argtypes = ctypes.c_void_p, [ctypes.c_size_t]
before = libc.mallinfo2().mapped
libc.malloc(300 << 20)
print(os.environ["OMP_WAIT_POLICY"], libc.mallinfo2().mapped > before)
"""


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="malloc of glibc")
@pytest.mark.parametrize(
    ("given", "said"),
    [
        ({}, "passive False"),
        ({"OMP_WAIT_POLICY": "active"}, "active False"),
        ({"MALLOC_MMAP_THRESHOLD_": "1000000"}, "passive True"),
    ],
)
def test_settings(given: dict[str, str], said: str) -> None:
    names = ("OMP_WAIT_POLICY", "MALLOC_TRIM_THRESHOLD_", "MALLOC_MMAP_THRESHOLD_")
    environment = {k: v for k, v in os.environ.items() if k not in names} | given
    command = [sys.executable, "-c", PROGRAM]
    done = subprocess.run(command, capture_output=True, text=True, env=environment, check=True)
    assert done.stdout.strip() == said


@pytest.mark.parametrize(
    ("precision", "device", "instructions", "warned"),
    [
        ("bf16", "cpu", False, True),
        ("bf16", "cpu", True, False),
        ("no", "cpu", False, False),
        ("bf16", "cuda", False, False),
    ],
)
def test_bfloat16_without_instructions_is_told(
    precision: str, device: str, instructions: bool, warned: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(platform, "machine", lambda: "x86_64")
    monkeypatch.setattr(torch.cpu, "_is_avx512_bf16_supported", lambda: instructions)
    monkeypatch.setattr(torch.cpu, "_is_amx_tile_supported", lambda: False)
    said = bfloat16_warning(precision, torch.device(device))
    assert (said is not None) == warned
    assert said is None or "take --precision no" in said
