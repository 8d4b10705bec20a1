"""Tars: the scan agrees with tarfile for every format, and damage is named and survived."""

from __future__ import annotations

import tarfile
from pathlib import Path

import pytest

from shard_tools.errors import PhotoError
from shard_tools.sources.readers import SpanReader
from shard_tools.sources.tars import scan_tar, scan_tars
from tests.helpers.photos import kaggle
from tests.helpers.sources import tars

FORMATS = [tarfile.USTAR_FORMAT, tarfile.GNU_FORMAT, tarfile.PAX_FORMAT]


@pytest.mark.parametrize("kind", FORMATS)
def test_scan_agrees_with_tarfile(tmp_path: Path, kind: int) -> None:
    kaggle(tmp_path / "k", {"1": 5, "2": 4})
    deep = tmp_path / "k" / "train" / ("d" * 90) / ("e" * 60) / "a.jpg"
    deep.parent.mkdir(parents=True)
    deep.write_bytes(b"deep")
    (tmp_path / "k" / "train" / "ü.jpg").write_bytes(b"")
    (tmp_path / "k" / "train" / "link.jpg").symlink_to("ü.jpg")
    files = sorted(tars(tmp_path / "k", tmp_path / "t", kind=kind).glob("*.tar"))
    table, problems = scan_tars(files, progress=False)
    assert problems == [None] * 3
    reader = SpanReader([str(file) for file in files]).of(table)
    known = {}
    for file in files:
        with tarfile.open(file) as tar:
            for member in filter(tarfile.TarInfo.isreg, tar):
                data = tar.extractfile(member)
                assert data is not None
                known[f"{file.name}/{member.name}"] = data.read()
    assert {path: reader.read(path) for path in table["path"].to_pylist()} == known
    assert len(known) == 11


def test_a_size_in_base_256(tmp_path: Path) -> None:
    info = tarfile.TarInfo("big.jpg")
    info.size = 9 << 30
    with open(tmp_path / "x.tar", "wb") as file:
        file.write(info.tobuf(tarfile.GNU_FORMAT))
        file.truncate(512 + info.size + 1024)
    assert scan_tar(tmp_path / "x.tar").sizes == [9 << 30]


@pytest.mark.parametrize(
    ("cut", "left", "problem"),
    [
        ("inside", 2, "truncated in "),
        ("end", 3, "does not end with"),
        ("early", 0, "truncated in "),
    ],
)
def test_truncated_tars(tmp_path: Path, cut: str, left: int, problem: str) -> None:
    kaggle(tmp_path / "k", {"1": 3})
    file = tars(tmp_path / "k", tmp_path / "t", 1) / "images_000.tar"
    with tarfile.open(file) as tar:
        last = tar.getmembers()[-1]
    at = {"inside": last.offset_data + 7, "end": 512 * -(-(last.offset_data + last.size) // 512)}
    file.write_bytes(file.read_bytes()[: at.get(cut, 1030)])
    members = scan_tar(file)
    assert len(members.names) == left
    assert members.problem is not None
    assert problem in members.problem


def test_garbage_between_members(tmp_path: Path) -> None:
    kaggle(tmp_path / "k", {"1": 3})
    file = tars(tmp_path / "k", tmp_path / "t", 1) / "images_000.tar"
    data = bytearray(file.read_bytes())
    with tarfile.open(file) as tar:
        second = tar.getmembers()[2].offset
    data[second : second + 512] = b"?" * 512
    file.write_bytes(data)
    members = scan_tar(file)
    assert len(members.names) == 1
    assert members.problem == f"damaged: no tar header at byte {second:,}"


def test_a_tar_that_is_no_file(tmp_path: Path) -> None:
    (tmp_path / "x.tar").mkdir()
    assert scan_tar(tmp_path / "x.tar").problem == "not a regular file"


def test_a_tar_that_shrank_since_it_was_scanned(tmp_path: Path) -> None:
    kaggle(tmp_path / "k", {"1": 1})
    file = tars(tmp_path / "k", tmp_path / "t", 1) / "images_000.tar"
    table, _ = scan_tars([file], progress=False)
    file.write_bytes(file.read_bytes()[:2000])
    with pytest.raises(PhotoError, match=r"ends .* bytes early"):
        SpanReader([str(file)]).of(table).read(table["path"][0].as_py())
