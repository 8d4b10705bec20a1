"""Small pictures of photos, and what their headers say; a damaged photo is no error here."""

from __future__ import annotations

import io
import warnings
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager

import numpy as np
from PIL import Image, ImageOps

from shard_tools.photos import FORMATS
from shard_tools.photos.decode import OTHER_PIXELS
from shard_tools.sources.readers import PhotoReader

_THUMBNAIL = (168, 126)
"""Width and height in pixels."""


def thumbnails(read: Callable[[int], bytes], rows: Iterable[int], number: int) -> tuple[bytes, ...]:
    """JPEGs of the first photos that can be decoded, at most ``number``."""
    made: list[bytes] = []
    for row in rows:
        small = thumbnail(read, row)
        if small is not None:
            made.append(small)
        if len(made) == number:
            break
    return tuple(made)


def thumbnail(read: Callable[[int], bytes], row: int) -> bytes | None:
    """A small JPEG of a photo, cropped to a fixed shape; None if it cannot be decoded."""
    try:
        with _opened(read(row)) as image:
            image.draft("RGB", (2 * _THUMBNAIL[0], 2 * _THUMBNAIL[1]))
            if image.width * image.height > OTHER_PIXELS:  # would take gigabytes
                return None
            small = ImageOps.fit(ImageOps.exif_transpose(image).convert("RGB"), _THUMBNAIL)
    except Exception:  # a damaged photo makes Pillow raise all kinds of errors
        return None
    file = io.BytesIO()
    small.save(file, "JPEG", quality=75)
    return file.getvalue()


def headers(reader: PhotoReader, paths: list[str]) -> tuple[np.ndarray, int]:
    """Read width and height (in pixels, upright) and size (in bytes) of photos.

    Returns:
        Shape (photos, 3), int64; and how many photos could not be opened.
    """
    values: list[tuple[int, int, int]] = []
    bad = 0
    for path in paths:
        try:
            data = reader.read(path)
            with _opened(data) as image:
                turned = image.getexif().get(0x0112, 1) in (5, 6, 7, 8)
                width, height = image.size[::-1] if turned else image.size
        except Exception:  # a damaged photo makes Pillow raise all kinds of errors
            bad += 1
        else:
            values.append((width, height, len(data)))
    return np.array(values, np.int64).reshape(-1, 3), bad


@contextmanager
def _opened(data: bytes) -> Iterator[Image.Image]:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # odd EXIF, large photos: irrelevant here
        with Image.open(io.BytesIO(data), formats=FORMATS) as image:
            yield image
