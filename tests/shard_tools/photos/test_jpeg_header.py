"""JPEG headers, read without decoding."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shard_tools.photos.jpeg_header import (
    EOI,
    JpegHeader,
    exif_orientation,
    read_header,
    without_filler,
)
from tests.helpers.photos import encoded, exif, jpeg, picture


def test_plain() -> None:
    assert read_header(jpeg(0, 48, 32)) == JpegHeader(0xC0, 8, 48, 32, 3, 1)


def test_progressive_grey_and_cmyk() -> None:
    header = read_header(encoded(picture(), progressive=True))
    assert header is not None
    assert header.process == 0xC2
    for mode, components in (("L", 1), ("CMYK", 4)):
        header = read_header(encoded(picture().convert(mode)))
        assert header is not None
        assert header.components == components


@pytest.mark.parametrize("alone", [b"\xff\x01", b"\xff\xd0", b"\xff\xd7", b"\xff\xff\xff\x01"])
def test_markers_without_a_length(alone: bytes) -> None:
    """A length read after such a marker would hide the frame, or let another be believed."""
    data = encoded(picture(), progressive=True)
    hidden = alone + (len(jpeg()) + 2).to_bytes(2, "big") + jpeg()[2:]
    assert read_header(data[:2] + alone + data[2:]) == read_header(data)
    header = read_header(data[:2] + hidden + data[2:])
    assert header is None or header.process == 0xC2


@pytest.mark.parametrize("orientation", range(1, 9))
def test_orientation(orientation: int) -> None:
    header = read_header(encoded(picture(), exif=exif(orientation)))
    assert header is not None
    assert header.orientation == orientation


@pytest.mark.parametrize(
    "block", [b"", b"Exif\0\0", b"Exif\0\0II*\0\xff\xff\xff\xff", exif(0), exif(9)]
)
def test_senseless_orientations_are_upright(block: bytes) -> None:
    assert exif_orientation(block) == 1


@given(data=st.binary(max_size=200))
def test_any_bytes(data: bytes) -> None:
    read_header(data)
    read_header(b"\xff\xd8" + data)


@given(cut=st.integers(0, 700))
def test_any_cut(cut: int) -> None:
    read_header(jpeg()[:cut])


@pytest.mark.parametrize(
    ("filler", "count", "found"),
    [(b"\0" * 4, 4, True), (b"\xff" * 3, 3, True), (b"\0\x01", 2, False), (b"\x55" * 4, 4, False)],
)
def test_filler_before_the_end(filler: bytes, count: int, found: bool) -> None:
    data = jpeg()
    padded = data[:-2] + filler + EOI
    assert without_filler(padded, count) == (data if found else None)
