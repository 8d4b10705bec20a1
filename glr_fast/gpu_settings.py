"""Process settings that a GPU wants, the same in training and evaluation."""

from __future__ import annotations

import torch


def apply_gpu_settings(device: torch.device) -> None:
    """Let matrix products use TF32 and cuDNN try its convolutions; nothing on a CPU.

    TF32 keeps 10 bits of a float32's mantissa in products, as autocast's bfloat16 keeps 7. cuDNN
    times its algorithms once for each shape, and all batches but the last of an evaluation have the
    same.
    """
    if device.type == "cuda":
        torch.set_float32_matmul_precision("high")
        torch.backends.cudnn.allow_tf32 = True
        torch.backends.cudnn.benchmark = True
