"""Fetching from a server that drops connections, ignores Range, fails, and sends wrong bytes."""

from __future__ import annotations

import errno
import signal
import subprocess
import sys
import threading
import time
from collections import Counter
from pathlib import Path
from typing import IO

import pytest

import shard_tools.fetch.download
import shard_tools.fetch.gldv2
from shard_tools.cli import main
from shard_tools.errors import StoreError
from shard_tools.fetch.download import Downloader, claimed
from shard_tools.fetch.gldv2 import METADATA, FetchOptions, fetch, files_to_fetch, parse_shards
from shard_tools.sources import SourceOptions, read_source
from tests.helpers.commands import error_of
from tests.helpers.download_server import (
    TARS,
    Server,
    drops,
    fails,
    lies,
    options,
    stalls,
    url,
    whole,
)
from tests.helpers.photos import kaggle
from tests.helpers.sources import tars

TAR = f"/train/{TARS[0]}"
LABELS = b"id,landmark_id\n" + bytes(5000)


def test_all_files_and_then_none(server: Server, tmp_path: Path) -> None:
    said = fetch(options(server, tmp_path / "d"), progress=False)
    assert said == f"5 files in {tmp_path / 'd'}: 5 fetched, 0 already there"
    assert whole(server, tmp_path / "d")
    server.asked.clear()
    assert "0 fetched, 5 already there" in fetch(options(server, tmp_path / "d"))
    assert {method for method, _, _ in server.asked} == {"HEAD"}


@pytest.mark.parametrize("ranges", [True, False])
def test_dropped_connections(server: Server, tmp_path: Path, ranges: bool) -> None:
    server.ranges = ranges
    cuts = [100_000, 1, 0, 50_000] if ranges else [100_000, 1, 0]
    server.faults[TAR] = [drops(cut) for cut in cuts]
    fetch(options(server, tmp_path))
    assert whole(server, tmp_path)
    got = server.gets(TAR)
    assert len(got) == len(cuts) + 1
    if ranges:
        assert got == [None, *(f"bytes={at}-" for at in (100_000, 100_001, 100_001, 150_001))]


def test_server_errors_are_outlived(server: Server, tmp_path: Path) -> None:
    server.faults[TAR] = [fails(500), fails(503), fails(429), drops(7)]
    server.faults["/md5sum/train/md5.images_000.txt"] = [fails(500)]
    server.faults["/metadata/train.csv"] = [fails(502)]
    fetch(options(server, tmp_path))
    assert whole(server, tmp_path)


def test_wrong_bytes_are_found_and_fetched_anew(server: Server, tmp_path: Path) -> None:
    server.faults[TAR] = [lies]
    fetch(options(server, tmp_path))
    assert whole(server, tmp_path)
    server.faults[TAR] = [lies] * 3
    (tmp_path / TARS[0]).unlink()
    with pytest.raises(StoreError, match="downloaded 3 times, and its MD5 sum was never"):
        fetch(options(server, tmp_path))
    assert not list(tmp_path.glob("images_000*"))
    assert not list(tmp_path.glob(".*"))


def test_a_later_run_goes_on(server: Server, tmp_path: Path) -> None:
    server.faults[TAR] = [drops(150_000), *[fails(500)] * 6]
    with pytest.raises(StoreError, match=r"gave up after 5 tries \(the server says 500"):
        fetch(options(server, tmp_path))
    assert (tmp_path / f"{TARS[0]}.part").stat().st_size == 150_000
    assert (tmp_path / TARS[1]).exists()  # the others are there
    server.asked.clear()
    server.faults.clear()
    fetch(options(server, tmp_path))
    assert server.gets(TAR) == ["bytes=150000-"]
    assert whole(server, tmp_path)


@pytest.mark.parametrize("tags", [True, False])
def test_a_file_that_changed_meanwhile_starts_anew(
    server: Server, tmp_path: Path, tags: bool
) -> None:
    server.tags = tags
    server.faults["/metadata/train.csv"] = [drops(1000), *[fails(500)] * 6]
    with pytest.raises(StoreError, match="gave up"):
        fetch(options(server, tmp_path, ()))
    server.faults.clear()
    server.add("train.csv", LABELS)
    fetch(options(server, tmp_path, ()))
    assert (tmp_path / "train.csv").read_bytes() == LABELS


@pytest.mark.parametrize(("extra", "gets"), [(0, 1), (10, 2)])
def test_a_part_as_long_as_the_file_or_longer(
    server: Server, tmp_path: Path, extra: int, gets: int
) -> None:
    data = server.files[TAR]
    (tmp_path / f"{TARS[0]}.part").write_bytes(data + bytes(extra))
    fetch(options(server, tmp_path))
    assert whole(server, tmp_path)
    assert len(server.gets(TAR)) == gets


def test_what_is_not_there(server: Server, tmp_path: Path) -> None:
    with pytest.raises(
        StoreError, match=r"md5.images_00[23].txt: the server says 404 .* --shards"
    ) as e:
        fetch(options(server, tmp_path, (0, 2, 3)))
    assert "(and 1 more file)" in str(e.value)
    assert "\n" not in str(e.value)
    assert len(list(tmp_path.iterdir())) == 4
    assert max(Counter(path for _, path, _ in server.asked).values()) == 1  # no use to try again
    server.files.pop("/md5sum/train/md5.images_001.txt")
    fetch(options(server, tmp_path, (0, 1), check=False))
    assert (tmp_path / TARS[1]).exists()


def test_a_file_of_another_length_is_not_overwritten(server: Server, tmp_path: Path) -> None:
    (tmp_path / TARS[0]).write_bytes(b"mine")
    with pytest.raises(StoreError, match=r"has 4 bytes, but .* has 400,000; .* remove it"):
        fetch(options(server, tmp_path))
    assert (tmp_path / TARS[0]).read_bytes() == b"mine"


def test_two_fetches_at_once(server: Server, tmp_path: Path) -> None:
    server.faults[TAR] = [stalls]
    first = threading.Thread(target=fetch, args=(options(server, tmp_path),))
    first.start()
    others = [tmp_path / name for name in (*METADATA, TARS[1])]
    while not all(path.exists() for path in (tmp_path / f"{TARS[0]}.part", *others)):
        time.sleep(0.005)
    with pytest.raises(StoreError) as error:
        fetch(options(server, tmp_path))
    at_work = "another glr-shard fetch is working on it"
    assert str(error.value) == f"{tmp_path / TARS[0]}.part: {at_work}"
    first.join()
    assert whole(server, tmp_path)


@pytest.mark.parametrize("gave_up", [False, True])
def test_another_fetch_let_go_meanwhile(
    server: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, gave_up: bool
) -> None:
    """After this one opened the part, before it was locked: the part is now the file, or gone."""
    lock = shard_tools.fetch.download._lock
    finished: list[Path] = []

    def late(file: IO[bytes], part: Path) -> None:
        lock(file, part)
        if part.name == f"{TARS[0]}.part" and not finished:
            part.write_bytes(server.files[TAR])
            finished.append(part.rename(tmp_path / TARS[0]))
            if gave_up:
                finished[0].unlink()

    monkeypatch.setattr(shard_tools.fetch.download, "_lock", late)
    counts = "5 fetched, 0 already there" if gave_up else "4 fetched, 1 already there"
    assert counts in fetch(options(server, tmp_path))
    assert finished
    assert whole(server, tmp_path)


def test_full_disk(server: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*args: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(shard_tools.fetch.gldv2, "md5_file", full)
    with pytest.raises(StoreError, match=r"the disk is full; .* kept: free some space"):
        fetch(options(server, tmp_path))


def test_no_server(tmp_path: Path) -> None:
    none = FetchOptions(dest=tmp_path, base_url="http://127.0.0.1:1", retries=1, backoff_s=0.001)
    with pytest.raises(StoreError, match=r"gave up after 2 tries \(ConnectionRefusedError"):
        fetch(none)


class Clock(threading.Event):
    """A stop button that is never pressed; waiting for it takes no time, but is noted."""

    def __init__(self) -> None:
        super().__init__()
        self.waits: list[float | None] = []

    def wait(self, timeout: float | None = None) -> bool:
        self.waits.append(timeout)
        return False


def test_pauses_grow(server: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("random.uniform", lambda low, high: 1.0)
    server.faults[TAR] = [*[fails(500)] * 9, drops(1), fails(500)]
    clock = Clock()
    with claimed(tmp_path / "x") as file:
        downloader = Downloader(9, 1.0, clock, lambda received, total: None)
        downloader.download(url(server) + TAR, tmp_path / "x", file)
    assert clock.waits == [1, 2, 4, 8, 16, 32, 60, 60, 60, 1, 1]
    assert (tmp_path / "x.part").read_bytes() == server.files[TAR]


def test_ctrl_c_keeps_what_arrived(server: Server, tmp_path: Path) -> None:
    server.faults[TAR] = [stalls]
    command = [sys.executable, "-m", "shard_tools.cli", "fetch", "--dest", str(tmp_path)]
    command += ["--base-url", url(server), "--shards", "0", "--jobs", "1"]
    running = subprocess.Popen(command, stderr=subprocess.PIPE, text=True)
    part = tmp_path / f"{TARS[0]}.part"
    while running.poll() is None and not part.exists():
        time.sleep(0.01)
    time.sleep(0.1)
    running.send_signal(signal.SIGINT)
    said = running.communicate(timeout=30)[1]
    assert (running.returncode, said) == (130, "glr-shard: interrupted\n")
    assert part.stat().st_size > 0
    assert main(command[3:]) == 0
    assert whole_but(server, tmp_path, TARS[1])


def whole_but(server: Server, dest: Path, missing: str) -> bool:
    server.files.pop(f"/train/{missing}")
    return whole(server, dest)


def test_fetched_files_are_a_source(server: Server, tmp_path: Path) -> None:
    kaggle(tmp_path / "k", {"1": 4, "2": 3})
    source = tars(tmp_path / "k", tmp_path / "t", 2)
    for file in source.iterdir():
        server.add(file.name, file.read_bytes())
    server.add("train_clean.csv", b"landmark_id,images\n")
    server.add("train_label_to_category.csv", b"landmark_id,category\n2,x/Category:Two\n")
    fetch(options(server, tmp_path / "d"))
    records = read_source(tmp_path / "d", SourceOptions(labels=tmp_path / "d" / "train.csv"))
    assert (len(records.photos), records.classes["name"].to_pylist()) == (7, [None, "Two"])


@pytest.mark.parametrize(
    ("text", "shards"),
    [("0-2,7", (0, 1, 2, 7)), ("5", (5,)), ("3, 1-3", (1, 2, 3)), ("499", (499,))],
)
def test_shards(text: str, shards: tuple[int, ...]) -> None:
    assert parse_shards(text) == shards
    assert len(parse_shards("all")) == 500


def test_where_the_files_are(tmp_path: Path) -> None:
    first, *_, last = files_to_fetch(FetchOptions(dest=tmp_path, shards=(7,)))
    assert first.url == "https://s3.amazonaws.com/google-landmark/metadata/train.csv"
    assert last.url == "https://s3.amazonaws.com/google-landmark/train/images_007.tar"
    assert last.md5_url == (
        "https://s3.amazonaws.com/google-landmark/md5sum/train/md5.images_007.txt"
    )


@pytest.mark.parametrize(
    ("more", "message"),
    [
        (["--shards", "0-500"], "'0-500' is not a number or range from 0 to 499"),
        (["--shards", "3-1"], "'3-1' is not a number or range"),
        (["--shards", "a"], "give, for example, 0-9,12 or all"),
        (["--jobs", "0"], "--jobs is 0"),
        (["--base-url", "s3://x"], "--base-url s3://x: give one that begins with https://"),
    ],
)
def test_bad_options(
    tmp_path: Path, more: list[str], message: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert message in error_of(["fetch", "--dest", str(tmp_path / "d"), *more], capsys)
    assert not (tmp_path / "d").exists()
