"""Files that are no photos, endless folders, tars and stores that lie: named, never waited for."""

from __future__ import annotations

import io
import os
import socket
import subprocess
import tarfile
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from shard_tools.cli import main
from shard_tools.errors import PhotoError, StoreError
from shard_tools.sources import read_source
from shard_tools.sources.folder import list_files, list_folder
from shard_tools.sources.readers import FolderReader
from shard_tools.sources.tars import scan_tar
from shard_tools.store.store import Store
from tests.helpers.commands import error_of
from tests.helpers.photos import built, jpeg, kaggle
from tests.helpers.sources import tars, write_csv
from tests.helpers.stores import rejected


@pytest.fixture(autouse=True)
def ends_soon() -> Iterator[None]:
    """A test of this module that waits for a pipe must fail, not hang."""
    begun = time.monotonic()
    yield
    assert time.monotonic() - begun < 60


def photos(root: Path, *names: str) -> Path:
    for number, name in enumerate(names):
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_bytes(jpeg(number))
    return root


def reasons(out: Path) -> dict[str, str]:
    return {row["path"]: row["reason"] for row in rejected(out)}


def test_what_is_no_regular_file_is_named(tmp_path: Path) -> None:
    root = photos(tmp_path / "s", "a/1.jpg", "a/2.jpg", "b/3.jpg", "b/4.jpg")
    os.mkfifo(root / "a/pipe.jpg")
    (root / "a/zero.jpg").symlink_to("/dev/zero")
    (root / "b/gone.jpg").symlink_to(root / "nothing")
    (root / "b/loop.jpg").symlink_to("loop.jpg")
    with socket.socket(socket.AF_UNIX) as server:
        server.bind(str(root / "b/socket.jpg"))
        out = built(root, tmp_path / "store")
    assert reasons(out) == {
        "a/pipe.jpg": "not a regular file",
        "a/zero.jpg": "not a regular file",
        "b/gone.jpg": "link to nothing",
        "b/loop.jpg": "cannot be read: Too many levels of symbolic links",
        "b/socket.jpg": "not a regular file",
    }
    assert Store.open(out).manifest.counts["photos"] == 4


@pytest.mark.parametrize("kind", ["pipe", "zero", "sparse"])
@pytest.mark.parametrize(
    "name", ["manifest.json", "data.parquet", "metadata.csv", "landmarks.csv", "classes.parquet"]
)
def test_what_a_layout_looks_for_is_no_regular_file(tmp_path: Path, name: str, kind: str) -> None:
    root = photos(tmp_path / "s", *(f"{c}/{n}.jpg" for c in "ab" for n in range(2)))
    if kind == "pipe":
        os.mkfifo(root / name)
    elif kind == "zero":
        (root / name).symlink_to("/dev/zero")
    else:
        with (root / name).open("wb") as file:
            file.truncate(4 << 40)
    assert read_source(root).photos["path"].to_pylist() == [
        "a/0.jpg",
        "a/1.jpg",
        "b/0.jpg",
        "b/1.jpg",
    ]


def test_a_table_that_names_them(tmp_path: Path) -> None:
    root = photos(tmp_path / "s", "1.jpg", "2.jpg")
    os.mkfifo(root / "pipe.jpg")
    with (root / "big.jpg").open("wb") as file:
        file.truncate(4 << 40)
    paths = ["1.jpg", "2.jpg", "pipe.jpg", "/dev/zero", "big.jpg", "1.jpg/x", "none.jpg", "n\0.jpg"]
    write_csv(root / "t.csv", "path,label", [(path, "ab"[n % 2]) for n, path in enumerate(paths)])
    out = built(root / "t.csv", tmp_path / "store")
    assert Store.open(out).manifest.counts["photos"] == 2
    assert sorted(row["detail"] for row in rejected(out)) == [
        "4,398,046,511,104 bytes",
        "No such file or directory",
        "Not a directory",
        "a NUL in its path",
        "not a regular file",
        "not a regular file",
    ]


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "cp1252"])
def test_label_files_in_other_encodings(tmp_path: Path, encoding: str) -> None:
    root = photos(tmp_path / "s", "train/1.jpg", "train/2.jpg")
    text = "id,landmark_id\r\n1,Café\r\n2,Zoo\r\n"
    (root / "train.csv").write_bytes(text.encode(encoding))
    if encoding == "cp1252":
        with pytest.raises(StoreError, match=r"train\.csv: is not UTF-8 text; save it as CSV"):
            read_source(root)
    else:
        assert read_source(root).classes["landmark_id"].to_pylist() == ["Café", "Zoo"]


def test_a_tar_that_is_a_pipe(tmp_path: Path) -> None:
    kaggle(tmp_path / "k", {"1": 4, "2": 3})
    root = tars(tmp_path / "k", tmp_path / "t")
    os.mkfifo(root / "images_008.tar")
    assert reasons(built(root, tmp_path / "store")) == {"images_008.tar": "damaged tar"}


def test_a_source_that_is_a_pipe(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    os.mkfifo(tmp_path / "x.zip")
    command = ["build", "--source", str(tmp_path / "x.zip"), "--out", str(tmp_path / "store")]
    assert "neither a folder nor a regular file" in error_of(command, capsys)
    assert not (tmp_path / "store").exists()


def test_folders_without_end(tmp_path: Path) -> None:
    root = photos(tmp_path / "s", *(f"{name}/1.jpg" for name in "abcdefghij"))
    for one in "abcdefghij":
        for two in "abcdefghij":  # 10! paths through them
            (root / one / f"to_{two}").symlink_to(root / two)
    (root / "self").symlink_to("self")
    paths, odd = list_files(root)
    assert paths.to_pylist() == [f"{name}/1.jpg" for name in "abcdefghij"]
    assert set(odd["reason"].to_pylist()) == {
        "link to a folder that is listed elsewhere",
        "cannot be read: Too many levels of symbolic links",
    }


def test_links_to_folders_elsewhere_are_followed_in_order(tmp_path: Path) -> None:
    photos(tmp_path / "far", "x/1.jpg", "2.jpg")
    root = photos(tmp_path / "s", "a/1.jpg", "c/3.jpg")
    (root / "b").symlink_to(tmp_path / "far")
    (root / "again").symlink_to(tmp_path / "far")
    paths, odd = list_files(root)
    assert paths.to_pylist() == ["a/1.jpg", "again/2.jpg", "again/x/1.jpg", "c/3.jpg"]
    assert odd["path"].to_pylist() == ["b"]


def test_deeply_nested_folders(tmp_path: Path) -> None:
    at = os.open(tmp_path, os.O_RDONLY)
    for _ in range(2500):  # longer than a path may be
        os.mkdir("d", dir_fd=at)
        below = os.open("d", os.O_RDONLY, dir_fd=at)
        os.close(at)
        at = below
    os.close(at)
    photos(tmp_path, "d/d/d/1.jpg")
    paths, odd = list_files(tmp_path)
    assert paths.to_pylist() == ["d/d/d/1.jpg"]
    assert odd["reason"].to_pylist() == ["folder cannot be read: File name too long"]
    subprocess.run(["rm", "-r", tmp_path / "d"], check=True)  # shutil would recurse


def test_a_store_inside_the_source_is_passed_over(tmp_path: Path) -> None:
    root = photos(tmp_path / "s", *(f"{c}/{n}.jpg" for c in "ab" for n in range(4)))
    before = list_folder(root).paths.to_pylist()
    built(root, root / "store")
    (root / "half" / ".building").mkdir(parents=True)
    (root / "half" / "train-000000.tar").touch()
    assert list_folder(root).paths.to_pylist() == before


@pytest.mark.parametrize(
    "size", [b"-0000000777\0", b"77777777777\0", b"\xff" * 12, b"0x000000010\0"]
)
def test_sizes_that_no_member_of_a_tar_has(tmp_path: Path, size: bytes) -> None:
    tar = io.BytesIO()
    with tarfile.open(fileobj=tar, mode="w") as out:
        out.addfile(tarfile.TarInfo("1.jpg"), io.BytesIO())
    data = bytearray(tar.getvalue())
    data[124:136] = size
    data[148:156] = b" " * 8
    data[148:156] = b"%06o\0 " % sum(data[:512])
    (tmp_path / "x.tar").write_bytes(data)
    members = scan_tar(tmp_path / "x.tar")
    assert members.names == []
    assert members.problem is not None
    assert members.problem.startswith(("damaged: a member of size", "truncated in 1.jpg"))


def test_a_negative_size_in_a_pax_header(tmp_path: Path) -> None:
    with tarfile.open(tmp_path / "x.tar", "w", format=tarfile.PAX_FORMAT) as out:
        info = tarfile.TarInfo("1.jpg")
        info.pax_headers = {"size": "-512"}
        out.addfile(info, io.BytesIO())
    problem = scan_tar(tmp_path / "x.tar").problem
    assert problem is not None
    assert "a member of size '-512'" in problem


def test_photos_of_devices_are_not_read(tmp_path: Path) -> None:
    with pytest.raises(PhotoError, match="not a regular file"):
        FolderReader("/").read("dev/zero")
    with pytest.raises(IsADirectoryError):
        FolderReader("/").read("dev")


def test_eda_opens_photos_as_photos_only(tmp_path: Path) -> None:
    """A PostScript file would run Ghostscript."""
    root = photos(tmp_path / "s", "a/1.jpg", "b/2.jpg")
    (root / "a/x.jpg").write_bytes(b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 9 9\n")
    assert main(["eda", str(root), "--out", str(tmp_path / "x.html")]) == 0
    page = (tmp_path / "x.html").read_text()
    assert "cannot be opened, of all 3 photos looked at" in page
