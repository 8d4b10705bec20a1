"""Photos of all kinds in, upright baseline RGB JPEG out, or a reason why not.

This file is long because it holds a case for each kind of photo.
"""

from __future__ import annotations

import csv
import io
import random
import struct
import zlib
from pathlib import Path

import numpy as np
import pytest
import simplejpeg
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image, ImageOps

from shard_tools.errors import PhotoError
from shard_tools.photos.decode import check_header, grey, upright
from shard_tools.photos.jpeg_header import EOI, JpegHeader, read_header
from shard_tools.photos.prepare import PhotoOptions, prepare, target_size
from shard_tools.report.photos_shown import thumbnail
from tests.helpers.photos import encoded, exif, jpeg, picture, pixels, scene

KEEP = PhotoOptions()
SCENES = (
    encoded(scene(320, 240), quality=80),
    encoded(scene(301, 199, 1), quality=80, subsampling=0, restart_marker_blocks=7),
    encoded(scene(199, 301, 2), quality=80, subsampling=1, optimize=True),
)


def check(data: bytes) -> np.ndarray:
    """Assert the rule of the store; returns the pixels."""
    header = read_header(data)
    assert header is not None
    assert (header.process, header.precision, header.components) == (0xC0, 8, 3)
    assert header.orientation == 1
    assert simplejpeg.decode_jpeg_header(data)[2] == "YCbCr"
    simplejpeg.decode_jpeg(data)
    return pixels(data)


def test_a_fine_jpeg_keeps_its_bytes() -> None:
    for data in (jpeg(), encoded(picture(), subsampling=0), jpeg(0, 1, 1), jpeg() + b"trailing"):
        photo = prepare(data, KEEP)
        assert photo.data == data
    assert (prepare(jpeg(), KEEP).width, prepare(jpeg(), KEEP).height) == (48, 32)


@pytest.mark.parametrize(
    ("kind", "options"),
    [
        ("PNG", {}),
        ("WEBP", {"lossless": True}),
        ("AVIF", {"quality": 100}),
        ("BMP", {}),
        ("TIFF", {}),
        ("JPEG2000", {}),
        ("JPEG", {"progressive": True}),
        ("JPEG", {"keep_rgb": True}),
    ],
)
def test_other_formats_look_the_same(kind: str, options: dict) -> None:
    data = encoded(picture(), kind, **options)
    photo = prepare(data, KEEP)
    assert abs(check(photo.data) - pixels(data)).mean() < 3


@pytest.mark.parametrize("mode", ["L", "P", "CMYK", "1", "LA", "YCbCr"])
def test_other_modes_look_the_same(mode: str) -> None:
    image = picture().convert(mode)
    kind = {"CMYK": "JPEG", "YCbCr": "JPEG"}.get(mode, "PNG")
    data = encoded(image, kind)
    assert abs(check(prepare(data, KEEP).data) - pixels(data)).mean() < 8  # P and 1 are dithered


def test_gif_gives_its_first_frame() -> None:
    frames = [picture(seed=seed).quantize(64) for seed in range(3)]
    data = encoded(frames[0], "GIF", save_all=True, append_images=frames[1:])
    assert abs(check(prepare(data, KEEP).data) - pixels(data)).mean() < 8


def test_transparency_is_white() -> None:
    image = picture().convert("RGBA")
    image.putalpha(Image.new("L", image.size, 0))
    assert check(prepare(encoded(image, "PNG"), KEEP).data).min() > 250
    half = picture().convert("RGBA")
    half.putalpha(128)
    shown = check(prepare(encoded(half, "PNG"), KEEP).data)
    assert abs(shown - (np.asarray(picture()) * 0.5 + 127)).mean() < 4


def test_sixteen_bits_are_scaled_not_clipped() -> None:
    ramp = np.linspace(0, 65535, 64).astype(np.uint16)
    data = encoded(Image.fromarray(np.tile(ramp, (16, 1))), "PNG")
    shown = check(prepare(data, KEEP).data)[8, :, 0]
    assert abs(shown - ramp / 257).max() < 6


@pytest.mark.parametrize("orientation", range(1, 9))
@pytest.mark.parametrize("kind", ["JPEG", "PNG", "WEBP"])
@pytest.mark.parametrize("short", [None, 16])
def test_photos_stand_upright(orientation: int, kind: str, short: int | None) -> None:
    data = encoded(picture(), kind, exif=exif(orientation), quality=95)
    photo = prepare(data, PhotoOptions(resize_short=short))
    with Image.open(io.BytesIO(data)) as image:
        wanted = ImageOps.exif_transpose(image).convert("RGB")
    wanted = wanted.resize(target_size(*wanted.size, short))
    assert (photo.width, photo.height) == wanted.size
    assert abs(check(photo.data) - np.asarray(wanted)).mean() < (4 if short is None else 12)


def test_upright_on_a_grid() -> None:
    grid = np.arange(6).reshape(2, 3, 1)
    for orientation in range(1, 9):
        with Image.open(io.BytesIO(encoded(picture(), "PNG", exif=exif(orientation)))) as image:
            image.paste(Image.fromarray(grid[..., 0].astype(np.uint8)))
            small = Image.fromarray(grid[..., 0].astype(np.uint8))
            small.getexif()[0x112] = orientation
        wanted = np.asarray(ImageOps.exif_transpose(small))
        assert (upright(grid, orientation)[..., 0] == wanted).all(), orientation


@pytest.mark.parametrize(
    ("size", "short", "wanted"),
    [
        ((800, 600), 256, (341, 256)),
        ((600, 800), 256, (256, 341)),
        ((200, 100), 256, (200, 100)),
        ((256, 256), 256, (256, 256)),
        ((6000, 40), 32, (4800, 32)),
        ((3, 1000), 2, (2, 667)),
        ((800, 600), None, (800, 600)),
    ],
)
def test_target_size(size: tuple[int, int], short: int | None, wanted: tuple[int, int]) -> None:
    assert target_size(*size, short) == wanted


@pytest.mark.parametrize("kind", ["JPEG", "PNG"])
def test_resize_is_antialiased(kind: str) -> None:
    """A fine checkerboard becomes grey, not a moiré of black and white."""
    board = np.indices((400, 600)).sum(axis=0) % 2 * 255
    data = encoded(Image.fromarray(board.astype(np.uint8)).convert("RGB"), kind, quality=100)
    shown = check(prepare(data, PhotoOptions(resize_short=37)).data)
    assert shown.shape == (37, 56, 3)
    assert abs(shown - 127).max() < 20


@pytest.mark.parametrize("short", [99, 200, 390])
def test_resize_looks_like_the_full_decode_resized(short: int) -> None:
    data = jpeg(3, 600, 400)
    photo = prepare(data, PhotoOptions(resize_short=short, quality=95))
    with Image.open(io.BytesIO(data)) as image:
        wanted = np.asarray(image.resize((photo.width, photo.height), Image.Resampling.LANCZOS))
    wanted = pixels(simplejpeg.encode_jpeg(wanted, 95, "RGB", "420"))
    assert abs(check(photo.data) - wanted).mean() < 2


def test_small_photos_are_not_enlarged() -> None:
    assert prepare(jpeg(), PhotoOptions(resize_short=64)).data == jpeg()


def test_quality_counts() -> None:
    data = encoded(picture(200, 200), "PNG")
    sizes = [len(prepare(data, PhotoOptions(quality=q)).data) for q in (30, 90)]
    assert sizes[0] < sizes[1]


@pytest.mark.parametrize(
    ("data", "reason"),
    [
        (b"", "empty file"),
        (b"<html>404</html>", "not a photo"),
        (b"\xff\xd8", "damaged"),
        (jpeg()[:300], "truncated"),
        (jpeg()[:-2], "truncated"),
        (jpeg()[:-200], "truncated"),
        (encoded(picture(), "PNG")[:-60], "truncated"),
        (encoded(picture(), "WEBP")[:-60], "damaged"),
    ],
)
def test_damage_is_named(data: bytes, reason: str) -> None:
    with pytest.raises(PhotoError) as caught:
        prepare(data, KEEP)
    assert caught.value.reason == reason


@pytest.mark.parametrize("kind", ["JPEG", "PNG"])
@pytest.mark.parametrize("short", [None, 16])
def test_bombs_are_refused(kind: str, short: int | None) -> None:
    data = encoded(picture(200, 100), kind)
    with pytest.raises(PhotoError, match="too large"):
        prepare(data, PhotoOptions(resize_short=short, max_pixels=19_999))
    prepare(data, PhotoOptions(resize_short=short, max_pixels=20_000))


def test_a_photo_too_long_for_jpeg_is_refused() -> None:
    data = encoded(Image.new("L", (70_000, 1)), "PNG")
    with pytest.raises(PhotoError, match="too large"):
        prepare(data, KEEP)


@pytest.mark.parametrize("short", [None, 16])
def test_filler_before_the_end_is_taken_out(short: int | None) -> None:
    padded = jpeg()[:-2] + b"\0" * 16 + EOI
    with pytest.raises(ValueError, match="extraneous"):
        simplejpeg.decode_jpeg(padded)
    options = PhotoOptions(resize_short=short)
    shown = check(prepare(padded, options).data)
    assert (shown == check(prepare(jpeg(), options).data)).all()
    assert grey(jpeg(), 8)[2]
    assert not grey(padded, 8)[2]  # decodable, but not as it is


def test_odd_headers_are_encoded_anew() -> None:
    data = jpeg()
    odd = data.replace(b"JFIF\0\x01", b"JFIF\0\x07", 1)
    with pytest.raises(ValueError, match="JFIF"):
        simplejpeg.decode_jpeg(odd)
    assert abs(check(prepare(odd, KEEP).data) - pixels(data)).mean() < 3


@pytest.mark.parametrize("short", [None, 64])
def test_garbage_in_the_body_is_found(short: int | None) -> None:
    """400 random bytes in the body: a strict decoder finds nearly all of them."""
    chance, reasons = random.Random(0), []
    noise = np.random.default_rng(0).integers(0, 255, (200, 300, 3), np.uint8)
    data = encoded(Image.fromarray(noise))
    for _ in range(40):
        at = chance.randrange(1000, len(data) - 500)
        garbled = data[:at] + chance.randbytes(400) + data[at + 400 :]
        try:
            prepare(garbled, PhotoOptions(resize_short=short))
        except PhotoError as error:
            reasons.append(error.reason)
    assert len(reasons) >= 36
    assert set(reasons) <= {"damaged", "truncated"}


@pytest.mark.parametrize("short", [None, 64])
def test_hostile_files(shared: Path, short: int | None) -> None:
    folder = shared / "data" / "hostile"
    if not folder.is_dir():
        pytest.skip(f"{folder} is not here")
    with open(folder / "files.csv") as file:
        rows = list(csv.DictReader(file))
    assert len(rows) >= 30
    for row in rows:
        data = (folder / row["file"]).read_bytes()
        if row["state"] == "decodable":
            check(prepare(data, PhotoOptions(resize_short=short)).data)
        else:
            with pytest.raises(PhotoError) as caught:
                prepare(data, PhotoOptions(resize_short=short))
            assert caught.value.reason


def test_real_photos_keep_their_bytes(shared: Path) -> None:
    files = sorted((shared / "data" / "landmarks13" / "train").rglob("*.jpg"))[::8]
    if not files:
        pytest.skip("no photos in ../shared/data/landmarks13")
    for file in files:
        assert prepare(file.read_bytes(), KEEP).data == file.read_bytes()


@given(st.data())
@settings(max_examples=200, deadline=None)
def test_a_small_grey_decode_finds_what_the_check_finds(data: st.DataObject) -> None:
    """A build decodes each photo once: to look for duplicates and to check it."""
    photo = bytearray(data.draw(st.sampled_from(SCENES)))
    for _ in range(data.draw(st.integers(0, 3))):
        photo[data.draw(st.integers(0, len(photo) - 1))] = data.draw(st.integers(0, 255))
    photo = bytes(photo[: data.draw(st.sampled_from([len(photo), len(photo) - 2, 400, 1500]))])
    try:
        whole = grey(photo, 64)[2]
    except PhotoError:
        whole = False
    try:
        packed = prepare(photo, KEEP).data
    except PhotoError:
        packed = b""
    if whole:  # else it may be a kind of JPEG that is encoded anew
        assert packed
        assert packed == prepare(photo, KEEP, whole=True).data
    if packed == photo:
        assert whole


def test_a_check_of_headers_trusts_what_has_an_end() -> None:
    trusting = PhotoOptions(check="header")
    data = jpeg(0, 400, 300)
    assert prepare(data, trusting).data == data
    garbled = data[:3000] + bytes(400) + data[3400:]
    with pytest.raises(PhotoError, match="damaged"):
        prepare(garbled, KEEP)
    assert prepare(garbled, trusting).data == garbled  # what this check cannot see
    with pytest.raises(PhotoError, match="truncated"):
        prepare(data[:-200], trusting)
    with pytest.raises(PhotoError, match="damaged"):  # no end: decoded after all
        prepare(garbled + b"trailing", trusting)
    assert prepare(jpeg() + b"trailing", trusting).data == jpeg() + b"trailing"


def test_a_header_that_the_decoder_reads_otherwise() -> None:
    """``FF 01`` before the first segment: libjpeg passes over two bytes, not over a length."""
    for data in (jpeg(), encoded(picture(), progressive=True)):
        odd = data[:2] + b"\xff\x01" + data[2:]
        photo = prepare(odd, KEEP)
        assert photo.data == odd if data == jpeg() else read_header(photo.data).process == 0xC0  # type: ignore[union-attr]
        assert (photo.width, photo.height) == simplejpeg.decode_jpeg_header(odd)[1::-1]
        assert grey(odd, 8)[1] == photo.width * photo.height
    other = jpeg(0, 640, 480)
    lying = JpegHeader(0xC0, 8, 48, 32, 3, 1)
    height, width, *_ = simplejpeg.decode_jpeg_header(other)
    with pytest.raises(PhotoError, match="its header says 48x32, the decoder 640x480"):
        check_header(lying, int(width), int(height))


@pytest.mark.parametrize("mode", ["RGBA", "LA", "P", "I;16", "1", "CMYK", "PA"])
def test_large_pictures_are_converted_in_strips(mode: str, monkeypatch: pytest.MonkeyPatch) -> None:
    image = scene(70, 50).convert("RGBA")
    image.putalpha(Image.linear_gradient("L").resize((70, 50)))
    file = io.BytesIO()
    deep = np.asarray(image.convert("L")).astype(np.uint16) * 257
    made = Image.fromarray(deep) if mode == "I;16" else image.convert(mode)
    made.save(file, "TIFF" if mode in ("CMYK", "LA", "PA") else "PNG")
    whole = prepare(file.getvalue(), KEEP).data
    monkeypatch.setattr("shard_tools.photos.decode._STRIP", 140)
    assert prepare(file.getvalue(), KEEP).data == whole


def test_what_is_no_jpeg_may_have_fewer_pixels(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("shard_tools.photos.decode.OTHER_PIXELS", 1000)
    file = io.BytesIO()
    picture().save(file, "PNG")
    with pytest.raises(PhotoError, match="the limit of a PNG is 1,000 in all"):
        prepare(file.getvalue(), KEEP)
    assert prepare(jpeg(), KEEP).data == jpeg()


def test_the_bytes_of_what_is_no_photo_are_not_quoted() -> None:
    png = b"\x89PNG\r\n\x1a\n\0\0\0\x04"
    for head in (b"", b"P6 ", b"P1 1 1 ", b"P5 9 ", png, b"GIF89a", b"BM", b"II*\0"):
        with pytest.raises(PhotoError) as caught:
            prepare(head + b"hunter2passwordhunter2password" * 9, KEEP)
        assert "hun" not in caught.value.detail


def test_a_png_that_would_take_gigabytes() -> None:
    """Its header decides: 693 kB that took 4.3 GB in a worker."""
    body = struct.pack(">IIBBBBB", 13_300, 13_400, 8, 6, 0, 0, 0)
    head = b"IHDR" + body
    data = b"\x89PNG\r\n\x1a\n" + struct.pack(">I", 13) + head
    data += struct.pack(">I", zlib.crc32(head))
    data += struct.pack(">I", 0) + b"IDAT" + struct.pack(">I", zlib.crc32(b"IDAT"))
    with pytest.raises(PhotoError, match="13300x13400 pixels, the limit of a PNG is 67,108,864"):
        prepare(data, KEEP)
    assert thumbnail(lambda row: data, 0) is None
