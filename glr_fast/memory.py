"""Whether a training on the CPU fits into memory: too large a one is killed without a word."""

from __future__ import annotations

import math
import os

import torch
from torch import Tensor, nn

from glr_fast.config import Config
from glr_fast.free_memory import free_memory

_GB = 1e9
_MORE = 1.15
"""What a step took over what autograd keeps: EfficientNet-B0 and ResNet-50, 224 pixels, a CPU."""
_SPARE = 0.9
"""Share of the free memory that a training may take."""


def activation_bytes(model: nn.Module, size: int) -> int:
    """Memory that a training step takes for each image: what autograd keeps for the backward pass.

    Args:
        model: which is left in training mode, as it was.
        size: side of the image, in pixels.
    """
    own = {parameter.untyped_storage().data_ptr() for parameter in model.parameters()}
    kept: dict[int, int] = {}

    def keep(tensor: Tensor) -> Tensor:
        storage = tensor.untyped_storage()
        if storage.data_ptr() not in own:
            kept[storage.data_ptr()] = storage.nbytes()
        return tensor

    model.eval()  # batch statistics of a black image are to leave no trace
    image = torch.zeros((1, 3, size, size), device=next(model.parameters()).device)
    with torch.enable_grad(), torch.autograd.graph.saved_tensors_hooks(keep, lambda saved: saved):
        model(image.to(memory_format=torch.channels_last))
    model.train()
    return sum(kept.values())


def memory_warning(needed: float, free: int | None, batch: int) -> str | None:
    """What is to be said of a batch for which there is too little memory, in a line; else None.

    Args:
        needed: bytes for a batch, on this machine.
        free: bytes that can be had; None for not known.
        batch: ``--data.batch-size``.
    """
    if free is None or needed <= _SPARE * free:
        return None
    parts = min(batch, 2 ** math.ceil(math.log2(needed / (_SPARE * free))))
    return (
        f"a batch of {batch} takes about {needed / _GB:.0f} GB of memory and {free / _GB:.0f} GB "
        "are free: the system may kill this run without a word. Updates of as many photos with "
        f"less memory: --data.batch-size {max(1, batch // parts)} --optim.accumulate-steps {parts}"
    )


def warning_of(config: Config, model: nn.Module, processes: int) -> str | None:
    """:func:`memory_warning` of a run on the CPU.

    Args:
        config: of the run.
        model: its model, on the CPU.
        processes: of the run, wherever they are.
    """
    here = int(os.environ.get("LOCAL_WORLD_SIZE", "1"))
    image = activation_bytes(model, config.data.image_size)
    image /= 2 if config.precision == "bf16" else 1
    # The weights are there already; gradients and AdamW's two moments come with the first step.
    states = 3 * 4 * sum(parameter.numel() for parameter in model.parameters())
    needed = here * (states + _MORE * image * config.data.batch_size / processes)
    return memory_warning(needed, free_memory(), config.data.batch_size)
