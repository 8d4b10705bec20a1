"""Decoding only the part of a JPEG that a crop needs (nvImageCodec on libjpeg-turbo)."""

# nvImageCodec is a compiled module without type stubs.
# pyright: reportAttributeAccessIssue=false

from __future__ import annotations

import numpy as np
from nvidia import nvimgcodec


def make_decoder() -> nvimgcodec.Decoder:
    """A decoder that uses the CPU and the calling thread only."""
    return nvimgcodec.Decoder(
        device_id=nvimgcodec.NVIMGCODEC_DEVICE_CPU_ONLY,
        max_num_cpu_threads=1,
        backends=[nvimgcodec.Backend(nvimgcodec.CPU_ONLY)],
    )


def decode_region(
    decoder: nvimgcodec.Decoder, encoded: np.ndarray, box: np.ndarray
) -> np.ndarray | None:
    """Decode the part of a photo inside a box; the rest is skipped where the codec can.

    Args:
        decoder: from :func:`make_decoder`; one thread at a time.
        encoded: the file's bytes, shape (bytes,), uint8.
        box: top, left, height, width in pixels.

    Returns:
        RGB, shape (height, width, 3), uint8; None if it cannot be decoded.
    """
    top, left, height, width = box.tolist()
    region = nvimgcodec.Region(top, left, top + height, left + width)
    stream = nvimgcodec.CodeStream(encoded).get_sub_code_stream(region=region)
    image = decoder.decode(stream)
    return None if image is None else np.asarray(image.cpu())


def can_be_read(encoded: np.ndarray, box: np.ndarray) -> bool:
    """Whether the header of a photo can be parsed, and says that a box lies inside of it.

    By the parser that DALI uses as well; 2 us, nothing is decoded.

    Args:
        encoded: the file's bytes, shape (bytes,), uint8.
        box: top, left, height, width in pixels.
    """
    if not len(encoded):
        return False
    top, left, height, width = box.tolist()
    stream = nvimgcodec.CodeStream(encoded)
    try:
        return top + height <= stream.height and left + width <= stream.width
    except RuntimeError:  # parsed when it is asked
        return False
