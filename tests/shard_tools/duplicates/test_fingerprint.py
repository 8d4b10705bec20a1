"""Fingerprints: copies are close, other pictures are not, damage and flat photos have none."""

from __future__ import annotations

import io
import itertools
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from shard_tools.duplicates.fingerprint import Fingerprint, fingerprint
from shard_tools.duplicates.grouping import COARSE_BITS, FINE_BITS
from tests.helpers.photos import encoded, jpeg, scene


def distance(one: Fingerprint, two: Fingerprint) -> tuple[int, int]:
    """Bits in which the coarse and the fine hashes differ."""
    assert one.fine is not None
    assert two.fine is not None
    bits = int.from_bytes(one.fine, "big") ^ int.from_bytes(two.fine, "big")
    return (one.coarse ^ two.coarse).bit_count(), bits.bit_count()


def same_picture(one: Fingerprint, two: Fingerprint) -> bool:
    coarse, fine = distance(one, two)
    return coarse <= COARSE_BITS and fine <= FINE_BITS


def copies(data: bytes) -> dict[str, bytes]:
    """The same picture, encoded otherwise."""
    with Image.open(io.BytesIO(data)) as opened:
        image = opened.convert("RGB")
    width, height = image.size
    scale = 128 / min(image.size)
    small = image.resize((round(width * scale), round(height * scale)), Image.Resampling.BICUBIC)
    exif = Image.Exif()
    exif[0x0112] = 6  # its viewers turn it by 90 degrees to the right
    return {
        "coarser": encoded(image, quality=40),
        "small": encoded(small, quality=80),
        "large": encoded(image.resize((2 * width + 1, 2 * height)), quality=90),
        "progressive": encoded(image, quality=75, progressive=True, subsampling=0),
        "grey": encoded(image.convert("L"), quality=75),
        "png": encoded(small, "PNG"),
        "webp": encoded(image, "WEBP", quality=60),
        "turned": encoded(image.transpose(Image.Transpose.ROTATE_90), quality=90, exif=exif),
    }


def test_copies_are_close_and_others_are_not() -> None:
    data = [encoded(scene(401, 299, seed), quality=92) for seed in range(12)]
    prints = [fingerprint(photo) for photo in data]
    for photo, known in zip(data, prints, strict=True):
        for name, copy in copies(photo).items():
            assert same_picture(fingerprint(copy), known), name
    for one, two in itertools.combinations(prints, 2):
        assert distance(one, two)[1] > 2 * FINE_BITS


def test_real_photos(shared: Path) -> None:
    """The figures in docs/format.md: copies within 24 bits, others but one pair beyond 70."""
    source = shared / "data" / "landmarks13" / "train"
    if not source.is_dir():
        pytest.skip(f"{source} is not here")
    files = sorted(source.rglob("*.jpg"))
    prints = [fingerprint(file.read_bytes()) for file in files]
    fine = np.array([np.frombuffer(p.fine or b"", np.uint64) for p in prints])
    apart = np.bitwise_count(fine[:, None] ^ fine[None]).sum(axis=2)[np.triu_indices(len(fine), 1)]
    assert (apart <= FINE_BITS).sum() == 20  # looked at: all are the same picture
    assert ((apart > FINE_BITS) & (apart < 70)).sum() == 1  # so is this: the same engraving, cut
    for file, known in list(zip(files, prints, strict=True))[::40]:
        for name, copy in copies(file.read_bytes()).items():
            assert same_picture(fingerprint(copy), known), (file.name, name)
        assert distance(fingerprint(copies(file.read_bytes())["large"]), known)[1] <= 8


def test_bytes_and_size() -> None:
    data = jpeg(3, 60, 40)
    one = fingerprint(data)
    assert (one.pixels, one.size) == (2400, len(data))
    assert fingerprint(data + b"\0").xxh128 != one.xxh128 == fingerprint(data).xxh128


@pytest.mark.parametrize("color", ["black", "white", (200, 30, 30)])
def test_flat_photos_have_no_hash(color: str) -> None:
    one = fingerprint(encoded(Image.new("RGB", (300, 200), color), quality=60))
    assert one.fine is None
    assert one.pixels == 60_000


def test_noise_on_a_flat_photo_and_plain_drawings_have_no_hash() -> None:
    noise = np.random.default_rng(0).integers(126, 130, (200, 300, 3), np.uint8)
    assert fingerprint(encoded(Image.fromarray(noise), quality=90)).fine is None
    fog = 128 + np.asarray(scene(), np.float64) / 20
    assert fingerprint(encoded(Image.fromarray(fog.astype(np.uint8)), "PNG")).fine is None
    halves = np.zeros((256, 256, 3), np.uint8)
    halves[:, 128:] = 255
    assert fingerprint(encoded(Image.fromarray(halves), "PNG")).fine is None


def test_damaged_photos_have_no_hash() -> None:
    data = encoded(scene(), quality=90)
    middle = len(data) // 2
    garbage = data[:middle] + bytes(400) + data[middle + 400 :]  # Pillow would decode it
    for bad in (data[:-40], b"", b"<html>", data[:200], garbage):
        assert fingerprint(bad).fine is None
        assert fingerprint(bad).pixels == 0


def test_large_photos_are_not_decoded() -> None:
    for data in (encoded(scene(60, 40)), encoded(scene(60, 40), "PNG")):
        assert fingerprint(data, max_pixels=2399).fine is None
        assert fingerprint(data, max_pixels=2400).fine is not None
