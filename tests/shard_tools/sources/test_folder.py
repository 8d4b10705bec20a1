"""Listing a folder tree."""

from __future__ import annotations

import errno
import os
from pathlib import Path

import pyarrow as pa
import pytest

from shard_tools.files.read_ahead import write_out
from shard_tools.sources.folder import list_files
from shard_tools.sources.readers import _AHEAD, FolderReader, reads
from shard_tools.sources.records import file_names, is_photo, stems


def touch(root: Path, *paths: str) -> None:
    for path in paths:
        (root / path).parent.mkdir(parents=True, exist_ok=True)
        (root / path).write_bytes(path.encode())


def open_files() -> int:
    return len(list(Path("/proc/self/fd").iterdir()))


def test_all_files_in_order(tmp_path: Path) -> None:
    touch(tmp_path, "b/2.jpg", "b/10.jpg", "a/x/y.png", "c.jpg", ".hidden/z.jpg", "a/.DS_Store")
    touch(tmp_path, "__MACOSX/b/2.jpg")
    paths, odd = list_files(tmp_path)
    assert paths.to_pylist() == ["c.jpg", "a/x/y.png", "b/10.jpg", "b/2.jpg"]
    assert not len(odd)
    assert FolderReader(str(tmp_path)).read("a/x/y.png") == b"a/x/y.png"


def test_files_are_opened_ahead(tmp_path: Path) -> None:
    names = [f"{number:03d}.jpg" for number in range(3 * _AHEAD)]
    touch(tmp_path, *names)
    (tmp_path / names[40]).unlink()
    (tmp_path / names[41]).unlink()
    (tmp_path / names[41]).mkdir()
    before = open_files()
    photos = reads(FolderReader(str(tmp_path)), names)
    found: list[object] = []
    for read in photos:
        try:
            found.append(read().decode())
        except OSError as error:
            found.append(error.errno)
        assert open_files() <= before + _AHEAD + 1
    assert found == [*names[:40], errno.ENOENT, errno.EISDIR, *names[42:]]
    stopped = reads(FolderReader(str(tmp_path)), names)
    assert next(stopped)() == names[0].encode()
    assert open_files() == before + _AHEAD - 1
    stopped.close()
    assert open_files() == before
    assert list(reads(FolderReader(str(tmp_path)), [])) == []


@pytest.mark.parametrize("fault", ["no such call", "not for this file"])
def test_reading_ahead_is_only_a_hint(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, fault: str
) -> None:
    names = [f"{number:03d}.jpg" for number in range(2 * _AHEAD)]
    touch(tmp_path, *names)

    def refused(*args: int) -> None:
        raise OSError(errno.ENOSYS, os.strerror(errno.ENOSYS))

    if fault == "no such call":
        monkeypatch.delattr(os, "posix_fadvise")
    else:
        monkeypatch.setattr(os, "posix_fadvise", refused)
    photos = [read() for read in reads(FolderReader(str(tmp_path)), names)]
    assert photos == [name.encode() for name in names]
    with open(tmp_path / "out", "wb") as file:
        write_out(file.fileno(), 0, 1 << 20)


def test_links_are_followed_but_not_in_circles(tmp_path: Path) -> None:
    touch(tmp_path, "real/1.jpg", "elsewhere/2.jpg")
    (tmp_path / "root").mkdir()
    (tmp_path / "root" / "a").symlink_to(tmp_path / "real")
    (tmp_path / "real" / "up").symlink_to(tmp_path / "root")
    (tmp_path / "root" / "3.jpg").symlink_to(tmp_path / "elsewhere" / "2.jpg")
    (tmp_path / "root" / "self").symlink_to(tmp_path / "root")
    assert list_files(tmp_path / "root")[0].to_pylist() == ["3.jpg", "a/1.jpg"]


def test_names_that_are_not_utf8(tmp_path: Path) -> None:
    touch(tmp_path, "ü.jpg")
    try:
        Path(os.fsdecode(os.fsencode(tmp_path) + b"/\xff.jpg")).touch()
    except OSError:
        pytest.skip("this file system takes only UTF-8 names")
    paths, odd = list_files(tmp_path)
    assert paths.to_pylist() == ["ü.jpg"]
    assert odd["path"].to_pylist() == ["\\udcff.jpg"]
    assert odd["reason"].to_pylist() == ["file name is not UTF-8"]


def test_names_and_suffixes() -> None:
    paths = pa.chunked_array([["a.b/c.d.JPG", "x", "p/.jpg", "q/r.txt", "s.webp"]])
    assert file_names(paths).to_pylist() == ["c.d.JPG", "x", ".jpg", "r.txt", "s.webp"]
    assert stems(paths).to_pylist() == ["c.d", "x", ".jpg", "r", "s"]
    assert is_photo(paths).to_pylist() == [True, False, True, False, True]
