"""Photos as a network takes them."""

from __future__ import annotations

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
    scale = torch.tensor([1 / (255 * s) for s in std], device=images.device).view(1, -1, 1, 1)
    shift = torch.tensor([-m / s for m, s in zip(mean, std, strict=True)], device=images.device)
    return torch.addcmul(shift.view(1, -1, 1, 1), images.float(), scale)
