"""One photo: check it by decoding it, resize it when asked, encode it again when it must be.

Every photo of a store is an upright, baseline, 8-bit JPEG of three components (YCbCr) that a strict
decoder reads without a warning. A photo that already is one keeps its bytes.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import simplejpeg
from PIL import Image

from shard_tools.errors import PhotoError
from shard_tools.photos.decode import (
    HARMLESS,
    MAX_PIXELS,
    bad_jpeg,
    check_header,
    check_size,
    checked,
    decode_other,
    strict,
    upright,
)
from shard_tools.photos.jpeg_header import BASELINE, EOI, JpegHeader, read_header

MAX_SIDE = 65_500
"""The longest side that libjpeg encodes."""

CHECKS = ("full", "header")


@dataclass(frozen=True)
class PhotoOptions:
    """What is done to every photo."""

    resize_short: int | None = None
    """Shorter side in pixels of photos larger than that; None keeps the original size."""
    quality: int = 90
    """JPEG quality, 1 to 100, of photos that are encoded again."""
    max_pixels: int = MAX_PIXELS
    """Photos with more pixels are refused."""
    check: str = "full"
    """One of ``CHECKS``: what is done to a photo that keeps its bytes. ``full`` decodes it whole;
    ``header`` only if the JPEG does not end where its file does, so damage goes unnoticed."""


@dataclass(frozen=True)
class Photo:
    """A photo as it is packed."""

    data: bytes
    """JPEG."""
    width: int
    height: int


def prepare(data: bytes, options: PhotoOptions, whole: bool = False) -> Photo:
    """The photo as it is packed: the same bytes, or resized and re-encoded.

    Args:
        data: the file.
        options: what is done to it.
        whole: these bytes are known to be a JPEG that a strict decoder reads to its end, so they
            need not be decoded to find that out.

    Raises:
        PhotoError: it cannot be decoded whole, or is too large.
    """
    if not data:
        raise PhotoError("empty file")
    header = read_header(data)
    if header is not None and header.precision == 8 and header.components in (1, 3):
        photo = _from_jpeg(data, header, options, whole)
        if photo is not None:
            return photo
    pixels = decode_other(data, options.max_pixels)
    size = target_size(pixels.shape[1], pixels.shape[0], options.resize_short)
    return _encode(_resize(pixels, size), options.quality, "444")


def target_size(width: int, height: int, short: int | None) -> tuple[int, int]:
    """Width and height with the shorter side at most ``short``; never enlarged."""
    if short is None or min(width, height) <= short:
        return width, height
    scale = short / min(width, height)
    return max(round(width * scale), short), max(round(height * scale), short)


def _from_jpeg(data: bytes, header: JpegHeader, options: PhotoOptions, whole: bool) -> Photo | None:
    """A grey or three-component JPEG; None where only the lenient decoder can read it."""
    check_size(header.width, header.height, options.max_pixels)
    try:
        height, width, space, chroma = simplejpeg.decode_jpeg_header(data)
    except ValueError:
        return None
    check_header(header, int(width), int(height))
    width, height = header.width, header.height
    size = target_size(width, height, options.resize_short)
    keeps = header.process == BASELINE and space == "YCbCr" and header.orientation == 1
    try:
        if keeps and size == (width, height):
            trusted = whole or (options.check == "header" and data[-2:] == EOI)
            return Photo(data if trusted else checked(data), width, height)
        pixels = strict(data, size)
    except ValueError as error:
        if HARMLESS.search(str(error)):
            return None
        raise bad_jpeg(str(error)) from None
    # A smaller photo needs no finer chroma than its original had; one of the same size, all of it.
    fine = chroma == "444" and size == (width, height)
    pixels = upright(_resize(pixels, size), header.orientation)
    return _encode(pixels, options.quality, "444" if fine else "420")


def _resize(pixels: np.ndarray, size: tuple[int, int]) -> np.ndarray:
    """Antialiased resize to ``size`` (width, height)."""
    if (pixels.shape[1], pixels.shape[0]) == size:
        return pixels
    return np.asarray(Image.fromarray(pixels).resize(size, Image.Resampling.BICUBIC))


def _encode(pixels: np.ndarray, quality: int, chroma: str) -> Photo:
    height, width = pixels.shape[:2]
    if max(height, width) > MAX_SIDE:
        raise PhotoError("too large", f"{width}x{height} pixels, no side may be over {MAX_SIDE}")
    pixels = np.ascontiguousarray(pixels)
    data = simplejpeg.encode_jpeg(pixels, quality, "RGB", chroma, fastdct=False)
    return Photo(data, width, height)
