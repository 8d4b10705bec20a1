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
    # Not np.asarray: each __array_interface__ of nvImageCodec (0.9.0) leaks 32 bytes.
    return None if image is None else image.cpu().__array__()


def photo_size(encoded: np.ndarray) -> tuple[int, int]:
    """Height and width by the header of a photo; (0, 0) where that cannot be parsed.

    By the parser that DALI uses as well; 2 us, nothing is decoded.

    Args:
        encoded: the file's bytes, shape (bytes,), uint8.
    """
    if not len(encoded):
        return 0, 0
    stream = nvimgcodec.CodeStream(encoded)
    try:
        return stream.height, stream.width
    except RuntimeError:  # parsed when it is asked
        return 0, 0


def can_be_read(encoded: np.ndarray, box: np.ndarray) -> bool:
    """Whether the header of a photo can be parsed, and says that a box lies inside of it.

    Args:
        encoded: the file's bytes, shape (bytes,), uint8.
        box: top, left, height, width in pixels.
    """
    return _holds(photo_size(encoded), box)


def _holds(size: tuple[int, int], box: np.ndarray) -> bool:
    top, left, height, width = box.tolist()
    return top + height <= size[0] and left + width <= size[1]


class KnownHeaders:
    """Sizes by the headers that were parsed once, so that later epochs need not parse them again.

    Four bytes a photo, by row.
    """

    _LARGEST = 65_535

    def __init__(self) -> None:
        self._sizes = np.zeros((0, 2), np.uint16)  # height, width; 0 where not yet seen

    def unknown(self, rows: np.ndarray, boxes: np.ndarray) -> list[int]:
        """Which photos of a batch have to be looked at.

        Args:
            rows: shape (batch,), int64.
            boxes: top, left, height, width in pixels, shape (batch, 4).

        Returns:
            Places in the batch of those whose header is not known to hold the box.
        """
        most = int(rows.max(initial=-1)) + 1
        if most > len(self._sizes):
            grown = np.zeros((max(most, 2 * len(self._sizes)), 2), np.uint16)
            grown[: len(self._sizes)] = self._sizes
            self._sizes = grown
        ends = boxes[:, :2].astype(np.int64) + boxes[:, 2:]
        return np.flatnonzero((ends > self._sizes[rows]).any(axis=1)).tolist()

    def read(self, row: int, encoded: np.ndarray, box: np.ndarray) -> bool:
        """As :func:`can_be_read`, and keep the size; ``unknown`` has been asked about the row."""
        size = photo_size(encoded)
        self._sizes[row] = np.minimum(size, self._LARGEST)
        return _holds(size, box)
