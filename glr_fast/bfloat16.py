"""Whether a CPU computes in bfloat16 or only emulates it."""

from __future__ import annotations

import platform

import torch


def emulates_bfloat16(device: torch.device) -> bool:
    """Whether a device is a CPU that has no instructions for matrix products in bfloat16."""
    if device.type != "cpu" or platform.machine() not in ("x86_64", "AMD64"):
        return False
    return not (torch.cpu._is_avx512_bf16_supported() or torch.cpu._is_amx_tile_supported())


def bfloat16_warning(precision: str, device: torch.device) -> str | None:
    """What is to be said of a precision on a device, in a line; None for nothing."""
    if precision != "bf16" or not emulates_bfloat16(device):
        return None
    return (
        "--precision bf16: this CPU has no instructions for bfloat16 and emulates them; large "
        "layers take many times as long (the head of 81,313 classes 40 times); take --precision no"
    )
