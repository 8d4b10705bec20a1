"""Photos as a network takes them: normalised by the mean and deviation it was trained with."""

from __future__ import annotations

from functools import lru_cache

import torch

IMAGENET_MEAN = (0.485, 0.456, 0.406)
IMAGENET_STD = (0.229, 0.224, 0.225)


def normalise(
    images: torch.Tensor,
    mean: tuple[float, ...] = IMAGENET_MEAN,
    std: tuple[float, ...] = IMAGENET_STD,
) -> torch.Tensor:
    """Images as a network takes them: ``(x / 255 - mean) / std`` per channel.

    Args:
        images: shape (batch, 3, height, width), uint8.
        mean: of each channel, on the scale 0 to 1.
        std: of each channel, on the scale 0 to 1.

    Returns:
        float32, same shape, device and memory format.
    """
    scale, shift = _constants(tuple(mean), tuple(std), images.device)
    return torch.addcmul(shift, images.float(), scale)


@lru_cache(maxsize=32)
def _constants(
    mean: tuple[float, ...], std: tuple[float, ...], device: torch.device
) -> tuple[torch.Tensor, torch.Tensor]:
    """Scale and shift, put on the device once.

    Made again for every batch, they would stop the host until the device has caught up.
    """
    with torch.inference_mode(False):  # they outlive the block that asks for them first
        scale = torch.tensor([1 / (255 * s) for s in std], device=device)
        shift = torch.tensor([-m / s for m, s in zip(mean, std, strict=True)], device=device)
        return scale.view(1, -1, 1, 1), shift.view(1, -1, 1, 1)
