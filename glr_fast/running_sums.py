"""Loss, right answers and photos since the last log line, summed on the device."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import cast

import torch
from accelerate import Accelerator
from torch import Tensor

from glr_fast.errors import TrainingError


class RunningSums:
    """The sums of one process. They are read back only when a line is logged or a run is saved."""

    def __init__(self, accelerator: Accelerator) -> None:
        self._accelerator = accelerator
        self._sums = torch.zeros(3, dtype=torch.float64, device=accelerator.device)
        self.photos_before = 0.0
        """Of the photos in the sums, those that were seen before this process began."""

    def add(self, loss: Tensor, right: Tensor, photos: int) -> None:
        """Add a batch; nothing is read back.

        Args:
            loss: mean over the batch, a scalar.
            right: right answers in it, a scalar.
            photos: its size.
        """
        count = torch.full_like(loss, photos)
        self._sums += torch.stack([loss.detach() * count, right, count])

    def read(self, step: int) -> tuple[float, float, float]:
        """Loss sum, right answers and photos, over all processes.

        Args:
            step: for the message.

        Raises:
            TrainingError: the loss is not finite.
        """
        sums = self._accelerator.reduce(self._sums, "sum")
        loss, right, photos = cast(Tensor, sums).tolist()
        if not math.isfinite(loss):
            raise TrainingError(
                f"the loss is not finite at or shortly before step {step}; nothing of these "
                "steps was saved; lower --optim.lr, lengthen --optim.warmup-epochs, or leave fp16 "
                "for --precision bf16"
            )
        return loss, right, photos

    def figures(self, step: int, seconds: float, spans: Mapping[str, float]) -> dict[str, float]:
        """What a log line says of the sums.

        Args:
            step: for the message of an error.
            seconds: since the last line.
            spans: of them, those spent in ``data``, ``evaluate`` and ``save``.

        Raises:
            TrainingError: the loss is not finite.
        """
        loss, right, photos = self.read(step)
        busy = max(1e-9, seconds - spans.get("evaluate", 0) - spans.get("save", 0))
        return {
            "train/loss": loss / photos,
            "train/accuracy": right / photos,
            "throughput(images/s)": (photos - self.photos_before) / busy,
            "data_wait(%)": 100 * spans.get("data", 0) / busy,
        }

    def clear(self) -> None:
        """Begin again, after a line was logged."""
        self._sums.zero_()
        self.photos_before = 0.0

    def restore(self, sums: tuple[float, ...]) -> None:
        """Go on from what ``read`` gave a checkpoint; the main process takes it for all."""
        if self._accelerator.is_main_process:
            self._sums += torch.tensor(sums, dtype=torch.float64).to(self._sums)
        self.photos_before = sums[2]
