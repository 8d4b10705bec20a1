"""Zips: the directory read at once agrees with zipfile, and damage is named."""

from __future__ import annotations

import pickle
import struct
import zipfile
from pathlib import Path

import numpy as np
import pytest

from shard_tools.errors import PhotoError, StoreError
from shard_tools.sources.zip_reader import ZipReader
from shard_tools.sources.zips import read_directory, read_member


def write(file: Path, members: dict[str, bytes], method: int = zipfile.ZIP_DEFLATED) -> Path:
    with zipfile.ZipFile(file, "w", method) as out:
        for name, data in members.items():
            out.writestr(name, data)
    return file


def agrees(file: Path) -> ZipReader:
    """Check the directory and every member against zipfile; returns a reader of all."""
    members = read_directory(file)
    reader = pickle.loads(pickle.dumps(ZipReader(str(file)).of(members)))
    with zipfile.ZipFile(file) as known:
        infos = [info for info in known.infolist() if not info.is_dir()]
        assert members["path"].to_pylist() == [info.filename for info in infos]
        assert members["crc"].to_pylist() == [info.CRC for info in infos]
        assert members["size"].to_pylist() == [info.file_size for info in infos]
        for info in infos:
            assert reader.read(info.filename) == known.read(info)
    return reader


MEMBERS = {"a/b.jpg": b"x" * 1000, "ü/ß.jpg": b"", "a/": b"", "long" * 50: bytes(range(256))}


@pytest.mark.parametrize("method", [zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED])
def test_members(tmp_path: Path, method: int) -> None:
    agrees(write(tmp_path / "x.zip", MEMBERS, method))


def test_an_empty_zip(tmp_path: Path) -> None:
    assert len(read_directory(write(tmp_path / "x.zip", {}))) == 0


def test_comment_and_bytes_in_front(tmp_path: Path) -> None:
    file = write(tmp_path / "x.zip", MEMBERS)
    with zipfile.ZipFile(file, "a") as out:
        out.comment = b"made by hand"
    file.write_bytes(b"#!/bin/sh\n" + file.read_bytes())
    agrees(file)


def test_a_name_that_holds_the_signature(tmp_path: Path) -> None:
    agrees(write(tmp_path / "x.zip", {"a": b"1", "PK\x01\x02.jpg": b"2", "b": b"3"}))


def test_names_in_code_page_437(tmp_path: Path) -> None:
    file = write(tmp_path / "x.zip", {"aXb": b"1"})
    file.write_bytes(file.read_bytes().replace(b"aXb", b"a\x81b"))
    assert read_directory(file)["path"].to_pylist() == ["aüb"]


def test_more_than_65535_members(tmp_path: Path) -> None:
    file = tmp_path / "x.zip"
    with zipfile.ZipFile(file, "w") as out:
        for number in range(66_000):
            out.writestr(zipfile.ZipInfo(f"{number:x}.jpg"), b"")
    members = read_directory(file)
    assert members["path"].to_pylist() == [f"{number:x}.jpg" for number in range(66_000)]


def test_members_beyond_4_gib(tmp_path: Path) -> None:
    """A sparse zip, with the fields that no longer fit 32 bits in extra fields."""
    file = tmp_path / "x.zip"
    with zipfile.ZipFile(file, "w") as out:
        out.writestr("a.jpg", b"near")
        assert out.fp is not None
        out.fp.seek(2**32 + 5)
        out.start_dir = 2**32 + 5
        with out.open(zipfile.ZipInfo("b.jpg"), "w", force_zip64=True) as member:
            member.write(b"far")
        out.writestr("c.jpg", b"farther")
    assert read_directory(file)["offset"].to_pylist()[1] == 2**32 + 5
    agrees(file)


def test_zip64_fields_among_others(tmp_path: Path) -> None:
    """Sizes and offset in the order that the standard gives, behind an unrelated extra field."""
    other = struct.pack("<HHL", 0x5455, 4, 1)
    wide = struct.pack("<HHQQQ", 1, 24, 2**33, 2**34, 2**35)
    full = 0xFFFFFFFF
    entry = struct.pack("<4s4B4HL2L5H2L", b"PK\x01\x02", 45, 0, 45, 0, 0, 8, 0, 0, 7, full, full,
                        1, len(other + wide), 0, 0, 0, 0, full)  # fmt: skip
    directory = entry + b"a" + other + wide
    end = struct.pack("<4s4H2LH", b"PK\x05\x06", 0, 0, 1, 1, len(directory), 0, 0)
    (tmp_path / "x.zip").write_bytes(directory + end)
    row = read_directory(tmp_path / "x.zip").to_pylist()[0]
    assert (row["size"], row["packed"], row["offset"], row["crc"]) == (2**33, 2**34, 2**35, 7)


def damaged(file: Path, change: str, *others: str) -> ZipReader:
    """A reader of a zip whose first member, ``a.jpg``, is damaged."""
    content = np.random.default_rng(0).bytes(500) + bytes(500)
    data = bytearray(write(file, dict.fromkeys(("a.jpg", *others), content)).read_bytes())
    if change == "body":
        data[100] ^= 1
    if change == "header":
        data[0] = 0
    if change == "method":
        data[data.index(b"PK\x01\x02") + 10] = 14
    if change == "encrypted":
        data[data.index(b"PK\x01\x02") + 8] |= 1
    file.write_bytes(data)
    return ZipReader(str(file)).of(read_directory(file))


@pytest.mark.parametrize(
    ("change", "reason", "detail"),
    [
        ("body", "damaged", "CRC-32|packed bytes"),
        ("header", "damaged", "no member begins at byte 0"),
        ("method", "cannot be read", "method 14"),
    ],
)
def test_damaged_members(tmp_path: Path, change: str, reason: str, detail: str) -> None:
    with pytest.raises(PhotoError, match=detail) as caught:
        damaged(tmp_path / "x.zip", change).read("a.jpg")
    assert caught.value.reason == reason


def test_encrypted_members_are_named_as_such(tmp_path: Path) -> None:
    with pytest.raises(PhotoError, match="encrypted member"):
        damaged(tmp_path / "x.zip", "encrypted", "b.jpg").read("a.jpg")
    with pytest.raises(StoreError, match="is encrypted; unpack it with its password"):
        damaged(tmp_path / "y.zip", "encrypted")


def test_a_changed_byte_in_a_stored_member_is_found(tmp_path: Path) -> None:
    file = write(tmp_path / "x.zip", {"a.jpg": bytes(1000)}, zipfile.ZIP_STORED)
    data = bytearray(file.read_bytes())
    data[500] = 1
    file.write_bytes(data)
    with pytest.raises(StoreError, match=r"a.jpg is damaged \(its CRC-32"):
        read_member(file, read_directory(file), "a.jpg")


def test_an_incomplete_zip(tmp_path: Path) -> None:
    file = write(tmp_path / "x.zip", MEMBERS)
    file.write_bytes(file.read_bytes()[:-30])
    with pytest.raises(StoreError, match="the end of it is missing"):
        read_directory(file)
    file.write_bytes(b"")
    with pytest.raises(StoreError, match="no zip"):
        read_directory(file)
    whole = write(tmp_path / "y.zip", MEMBERS).read_bytes()
    file.write_bytes(whole[300:])
    with pytest.raises(StoreError, match="not where the end of the zip says"):
        read_directory(file)


def lying(file: Path, size: int, packed: int, offset: int) -> Path:
    """A zip of one member whose zip64 field says what no member has."""
    local = struct.pack("<4sHHHHHLLLHH", b"PK\3\4", 45, 0, 0, 0, 0, 0, 1, 1, 5, 0) + b"a.jpgx"
    extra = struct.pack("<HHQQQ", 1, 24, size, packed, offset)
    full = 0xFFFFFFFF
    fixed = (20, 45, 0, 0, 0, 0, 0, full, full, 5, len(extra), 0, 0, 0, 0, full)
    entry = struct.pack("<4sHHHHHHLLLHHHHHLL", b"PK\1\2", *fixed) + b"a.jpg" + extra
    end = struct.pack("<4sHHHHLLH", b"PK\5\6", 0, 0, 1, 1, len(entry), len(local), 0)
    file.write_bytes(local + entry + end)
    return file


@pytest.mark.parametrize("place", range(3))
@pytest.mark.parametrize("value", [1 << 63, (1 << 64) - 1])
def test_sizes_and_places_below_0(tmp_path: Path, place: int, value: int) -> None:
    numbers = [1, 1, 0]
    assert read_directory(lying(tmp_path / "x.zip", *numbers))["path"].to_pylist() == ["a.jpg"]
    numbers[place] = value
    with pytest.raises(StoreError, match=r"its directory is damaged \(a size or place below 0\)"):
        read_directory(lying(tmp_path / "x.zip", *numbers))


@pytest.mark.parametrize(
    ("numbers", "reason"),
    [((1 << 40, 1, 0), "too large"), ((1, 1 << 40, 0), "too large"), ((1, 1, 1 << 40), "damaged")],
)
def test_sizes_and_places_out_of_reach(
    tmp_path: Path, numbers: tuple[int, int, int], reason: str
) -> None:
    file = lying(tmp_path / "x.zip", *numbers)
    with pytest.raises(PhotoError) as caught:
        ZipReader(str(file)).of(read_directory(file)).read("a.jpg")
    assert caught.value.reason == reason


@pytest.mark.parametrize(
    ("size", "offset"), [(1 << 62, 0), ((1 << 64) - 1, 0), (10, (1 << 64) - 1), (10, 1 << 62)]
)
def test_a_zip64_directory_out_of_reach(tmp_path: Path, size: int, offset: int) -> None:
    """Reads and seeks stay in the file; nothing of that size is asked for."""
    record = struct.pack("<4sQHHLLQQQQ", b"PK\6\6", 44, 45, 45, 0, 0, 1, 1, size, offset)
    locator = struct.pack("<4sLQL", b"PK\6\7", 0, 100, 1)
    end = struct.pack("<4sHHHHLLH", b"PK\5\6", 0, 0, 1, 1, 10, 0, 0)
    (tmp_path / "x.zip").write_bytes(bytes(100) + record + locator + end)
    with pytest.raises(StoreError, match="its directory"):
        read_directory(tmp_path / "x.zip")
