"""Copies of nested containers of tensors in CPU memory, made anew in the memory of earlier ones."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor


def copied(value: Any, old: Any = None) -> Any:
    """A copy of nested containers, with all tensors in CPU memory.

    Tensors of an earlier copy are filled again where they have the same shape, so that a save does
    not have to get memory from the system.
    """
    if isinstance(value, Tensor):
        value = value.detach()
        fits = isinstance(old, Tensor) and (old.shape, old.dtype) == (value.shape, value.dtype)
        target = old if fits else torch.empty_like(value, device="cpu")
        return target.copy_(value)
    if isinstance(value, Mapping):
        before = old if isinstance(old, Mapping) else {}
        return {key: copied(item, before.get(key)) for key, item in value.items()}
    if isinstance(value, list | tuple):
        known = isinstance(old, list | tuple) and len(old) == len(value)
        pairs = zip(value, old if known else [None] * len(value), strict=True)
        return type(value)([copied(item, before) for item, before in pairs])
    return value


def room_for(value: Any) -> Any:
    """What :func:`copied` fills: nested containers with tensors of zeros in CPU memory."""
    if isinstance(value, Tensor):
        # Written to, not asked for as zeros: the system gives memory when it is first touched.
        return torch.empty_like(value, device="cpu").zero_()
    if isinstance(value, Mapping):
        return {key: room_for(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return type(value)(room_for(item) for item in value)
    return value
