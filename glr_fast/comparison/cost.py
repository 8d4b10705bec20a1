"""What a model costs: parameters, and photos per second through it on this machine."""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import torch

from glr_fast.trained_model import TrainedModel

ROUNDS = 5
BATCH = {"cpu": 16, "cuda": 128}


@dataclass(frozen=True)
class Cost:
    """What a model costs."""

    parameters: int
    """Numbers in its weights."""
    images_per_second: float | None
    """Through the model alone, no decoding; None where it was not measured."""

    @property
    def relative(self) -> float:
        """To be compared with that of another model: seconds a photo, else parameters."""
        rate = self.images_per_second
        return float(self.parameters) if rate is None else 1 / rate

    def __str__(self) -> str:
        """In words."""
        size = f"{self.parameters / 1e6:.1f} million parameters"
        rate = self.images_per_second
        return size if rate is None else f"{rate:.0f} images/s, {size}"


def costs(models: Mapping[Path, TrainedModel], measure: bool) -> dict[Path, Cost]:
    """The cost of each model.

    Equal architectures are measured once, so equal models cost the same to the digit. The others
    take turns, and each gets its fastest: whatever else the machine does only slows them.
    """
    distinct = {_architecture(model): model for model in models.values()}
    seconds: dict[object, list[float]] = {key: [] for key in distinct}
    for _ in range(1 + ROUNDS if measure else 0):
        for key, model in distinct.items():
            seconds[key].append(_seconds_per_photo(model))
    rates = {
        key: 1 / min(values[1:]) if values else None  # the first one warms up
        for key, values in seconds.items()
    }
    return {
        run: Cost(
            sum(parameter.numel() for parameter in model.module.parameters()),
            rates[_architecture(model)],
        )
        for run, model in models.items()
    }


def machine(device: torch.device) -> str:
    """What the speed was measured on."""
    if device.type == "cuda":
        return torch.cuda.get_device_name(device)
    return f"CPU, {torch.get_num_threads()} threads"


def _architecture(model: TrainedModel) -> tuple:
    card = model.card
    head = card.num_classes, card.head, card.sub_centers, card.pool
    return card.name, card.image_size, *head


def _seconds_per_photo(model: TrainedModel) -> float:
    size, device = model.card.image_size, model.device
    batch = BATCH.get(device.type, 16)
    images = torch.zeros((batch, 3, size, size), dtype=torch.uint8, device=device)
    with torch.inference_mode():
        started = time.perf_counter()
        model.logits(images).sum().item()  # waits for the device
        return (time.perf_counter() - started) / batch
