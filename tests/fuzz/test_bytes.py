"""Random damage to photos, tars and zips: a decision in bounded time, never a raw exception."""

from __future__ import annotations

import io
import random
import struct
import tarfile
import tempfile
import time
import zipfile
from pathlib import Path

import numpy as np
import simplejpeg
from PIL import Image

from shard_tools.duplicates.fingerprint import fingerprint
from shard_tools.errors import PhotoError, StoreError
from shard_tools.photos import PhotoOptions, prepare, read_header
from shard_tools.sources import read_source
from shard_tools.sources.tars import scan_tar
from tests.fuzz.loop import fuzz

INTERESTING = [b"\0", b"\xff", b"\xff\x01", b"\xff\xd0", b"\xff\xd9", b"\xff\xd8", b"\xff\xff"]
INTERESTING += [b"-1", b"\x7f\xff\xff\xff", b"\x80", b"PK\x01\x02", b"PK\x05\x06", b"PK\x06\x06"]


def mutated(rng: random.Random, data: bytes, most: int = 6) -> bytes:
    """Some bytes flipped, inserted, removed, repeated or set to what parsers trip over."""
    out = bytearray(data)
    for _ in range(rng.randint(1, most)):
        at = rng.randrange(len(out) + 1)
        kind = rng.randrange(6)
        if kind == 0 and at < len(out):
            out[at] ^= 1 << rng.randrange(8)
        elif kind == 1:
            out[at:at] = rng.choice(INTERESTING)
        elif kind == 2:
            piece = rng.choice(INTERESTING)
            out[at : at + len(piece)] = piece
        elif kind == 3:
            del out[at : at + rng.randint(1, 40)]
        elif kind == 4:
            out[at:at] = out[at : at + rng.randint(1, 40)]
        elif at < len(out):
            out[at] = rng.randrange(256)
    return bytes(out)


def picture(rng: random.Random) -> Image.Image:
    side = rng.choice([8, 17, 33]), rng.choice([8, 40])
    noise = np.random.default_rng(rng.randrange(1000)).integers(0, 255, (*side, 3), np.uint8)
    return Image.fromarray(noise)


def photos(rng: random.Random) -> None:
    """Whatever ``prepare`` takes, the decoder agrees on; whatever it refuses, it says why."""
    file = io.BytesIO()
    form = rng.choice(["JPEG", "JPEG", "JPEG", "PNG", "WEBP", "GIF", "TIFF", "BMP"])
    options = {"progressive": True} if form == "JPEG" and rng.random() < 0.3 else {}
    picture(rng).save(file, form, **options)
    data = mutated(rng, file.getvalue())
    if form == "JPEG" and rng.random() < 0.5:  # in the header, where the parsers are
        data = data[:2] + rng.choice(INTERESTING) + data[2:]
    read_header(data)
    options = PhotoOptions(resize_short=rng.choice([None, 8]), max_pixels=10_000)
    try:
        photo = prepare(data, options)
    except PhotoError:
        fingerprint(data, 10_000)
        return
    height, width, space, _ = simplejpeg.decode_jpeg_header(photo.data)
    assert (photo.width, photo.height, space) == (width, height, "YCbCr")
    header = read_header(photo.data)
    assert header is not None
    assert (header.process, header.width, header.height) == (0xC0, width, height)
    assert simplejpeg.decode_jpeg(photo.data).shape == (height, width, 3)
    fingerprint(data, 10_000)


def tars(rng: random.Random) -> None:
    file = io.BytesIO()
    kind = rng.choice([tarfile.USTAR_FORMAT, tarfile.GNU_FORMAT, tarfile.PAX_FORMAT])
    with tarfile.open(fileobj=file, mode="w", format=kind) as tar:
        for number in range(rng.randint(1, 4)):
            info = tarfile.TarInfo(rng.choice(["a.jpg", "b" * 90, "é.jpg"]) + str(number))
            info.size = rng.choice([0, 5, 600])
            if kind == tarfile.PAX_FORMAT and rng.random() < 0.5:
                info.pax_headers = {"size": rng.choice(["-5", "10", "x", "9" * 30])}
            tar.addfile(info, io.BytesIO(bytes(info.size)))
    data = bytearray(mutated(rng, file.getvalue()[: 512 * 12]))
    if rng.random() < 0.7:  # with check sums that are right, so that the damage is believed
        for at in range(0, len(data) - 511, 512):
            if data[at]:
                data[at + 148 : at + 156] = b" " * 8
                data[at + 148 : at + 156] = b"%06o\0 " % sum(data[at : at + 512])
    with tempfile.NamedTemporaryFile(suffix=".tar") as out:
        out.write(data)
        out.flush()
        begun = time.monotonic()
        members = scan_tar(Path(out.name))
    assert time.monotonic() - begun < 5
    for offset, size in zip(members.offsets, members.sizes, strict=True):
        assert 0 <= size <= len(data)
        assert 0 < offset <= len(data) - size


def zips(rng: random.Random) -> None:
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w", rng.choice([zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED])) as out:
        names = [
            "train.csv",
            "a/1.jpg",
            "b/2.jpg",
            "d/a/3.jpg",
            "d/b/4.jpg",
            "train/5.jpg",
            "x.txt",
        ]
        for name in rng.sample(names, rng.randint(1, 6)):
            content = b"id,landmark_id\n5,1\n" if name.endswith("csv") else b"\xff\xd8" + bytes(99)
            out.writestr(name, content)
    data = bytearray(file.getvalue())
    if rng.random() < 0.5:  # in the directory and the records at its end
        start = data.rfind(b"PK\x01\x02", 0, len(data) - rng.randrange(80))
        data[max(start, 0) :] = mutated(rng, bytes(data[max(start, 0) :]))
    else:
        data = bytearray(mutated(rng, bytes(data)))
    if rng.random() < 0.2:  # zip64 records that lie
        end = data.rfind(b"PK\x05\x06")
        if end >= 0:
            record = struct.pack(
                "<4sQHHLLQQQQ",
                b"PK\x06\x06",
                44,
                45,
                45,
                0,
                0,
                1,
                1,
                *(rng.choice([0, 5, 2**63, 2**64 - 1]) for _ in range(2)),
            )
            locator = struct.pack("<4sLQL", b"PK\x06\x07", 0, rng.choice([end, 0, 2**63]), 1)
            data[end:end] = record + locator
    with tempfile.NamedTemporaryFile(suffix=".zip") as out:
        out.write(data)
        out.flush()
        try:
            records = read_source(Path(out.name))
        except StoreError:
            return
        reader = records.reader.of(records.photos)
        for path in records.photos["path"].to_pylist():
            try:
                reader.read(path)
            except PhotoError:
                continue


def test_photos() -> None:
    fuzz(photos)


def test_tars() -> None:
    fuzz(tars)


def test_zips() -> None:
    fuzz(zips)
