"""Small arrays of a batch on their way to the device."""

from __future__ import annotations

import numpy as np
import torch


def upload(array: np.ndarray, device: torch.device) -> torch.Tensor:
    """The array as a tensor on the device, in the order of its stream, without waiting for it.

    From ordinary memory ``non_blocking`` is not kept: CUDA first waits until the stream has done
    all that it was given, so the host can launch no step ahead of the GPU
    (``torch.cuda.set_sync_debug_mode`` does not see it). From page-locked memory it is, and PyTorch
    gives that memory out again only when it has been read.

    Args:
        array: of any shape and numeric dtype; shared with the tensor where the device is the CPU.
        device: where it is to go.
    """
    tensor = torch.from_numpy(array)
    if device.type != "cpu":
        tensor = tensor.pin_memory()
    return tensor.to(device, non_blocking=True)
