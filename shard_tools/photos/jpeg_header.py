"""What the header of a JPEG says, read without decoding: process, components, orientation."""

from __future__ import annotations

import warnings
from dataclasses import dataclass

from PIL import Image
from PIL.ExifTags import Base

SOI = b"\xff\xd8"
EOI = b"\xff\xd9"
BASELINE = 0xC0

_START_OF_SCAN = 0xDA
#: Markers without a length: TEM and the restart markers. libjpeg passes over them before a scan.
_ALONE = frozenset({0x01, *range(0xD0, 0xD8)})
#: What ends libjpeg's reading of a header, or is no marker to it: a stuffed zero, SOI, EOI.
_ENDS = frozenset({0x00, 0xD8, 0xD9})
_APP1 = 0xE1
_EXIF = b"Exif\0\0"
#: Markers C0 to CF start a frame, but for DHT (C4), JPG (C8) and DAC (CC).
_FRAMES = frozenset(range(0xC0, 0xD0)) - {0xC4, 0xC8, 0xCC}


@dataclass(frozen=True)
class JpegHeader:
    """The parts of a JPEG header that decide whether its bytes may be packed as they are."""

    process: int
    """Marker of the frame: 0xC0 baseline, 0xC1 extended, 0xC2 progressive, ..."""
    precision: int
    """Bits per sample."""
    width: int
    height: int
    components: int
    orientation: int
    """EXIF orientation, 1 to 8; 1 is upright; also 1 where the tag is missing or invalid."""


def read_header(data: bytes) -> JpegHeader | None:
    """The header; None if ``data`` is not a JPEG or is damaged before its first scan.

    Segments are walked as libjpeg walks them, so that both find the same frame.
    """
    if data[:2] != SOI:
        return None
    frame: bytes | None = None
    process, orientation, at = 0, 1, 2
    while at + 4 <= len(data) and data[at] == 0xFF:
        marker = data[at + 1]
        if marker == 0xFF:  # a fill byte
            at += 1
            continue
        if marker in _ALONE:
            at += 2
            continue
        if marker in _ENDS:
            break
        size = int.from_bytes(data[at + 2 : at + 4], "big")
        body = data[at + 4 : at + 2 + size]
        if marker == _START_OF_SCAN or len(body) < size - 2 or size < 2:
            break
        if marker in _FRAMES and frame is None:
            process, frame = marker, body
        elif marker == _APP1 and body.startswith(_EXIF) and orientation == 1:
            orientation = exif_orientation(body)
        at += 2 + size
    if frame is None or len(frame) < 6:
        return None
    height, width = int.from_bytes(frame[1:3], "big"), int.from_bytes(frame[3:5], "big")
    return JpegHeader(process, frame[0], width, height, frame[5], orientation)


def exif_orientation(exif: bytes) -> int:
    """The orientation that an EXIF block gives, 1 where it gives none, or none that makes sense."""
    tags = Image.Exif()
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            tags.load(exif)
        value = tags.get(Base.Orientation, 1)
    except Exception:  # Pillow raises whatever it trips over; a broken EXIF block turns nothing
        return 1
    return value if isinstance(value, int) and 1 <= value <= 8 else 1


def without_filler(data: bytes, count: int) -> bytes | None:
    """The JPEG without ``count`` bytes of filler before its end, or None if they are not filler.

    Some cameras pad the entropy-coded body with a few zeros or 0xFF bytes. That harms nothing,
    but looks to a strict decoder like a body that lost its way.
    """
    end = data.rfind(EOI)
    filler = data[max(end - count, 0) : end]
    if end < 0 or len(filler) != count or filler.strip(filler[:1]) or filler[:1] not in b"\0\xff":
        return None
    return data[: end - count] + data[end:]
