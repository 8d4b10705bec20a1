"""Builds and indexes that meet, photos that change between kill and continuation, signals."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from shard_tools.build import BuildInterruptedError
from shard_tools.build.work_folder import claimed
from shard_tools.cli import main
from shard_tools.errors import StoreError
from shard_tools.sampling import IndexOptions, write_index
from shard_tools.verify import verify_store
from tests.helpers.photos import built, jpeg, kaggle
from tests.helpers.stores import same
from tests.shard_tools.build.test_interruption import unfinished

TIMES = int(os.environ.get("MEETINGS", "4"))
"""How often two meet; ``make fuzz`` has them meet 25 times."""


def command(*arguments: object) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-m", "shard_tools.cli", *map(str, arguments)],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def ends(*processes: subprocess.Popen[str]) -> list[tuple[int, str]]:
    """Exit code and stderr of each."""
    said = [process.communicate(timeout=120)[1] for process in processes]
    return [(process.returncode, text) for process, text in zip(processes, said, strict=True)]


def test_two_builds_into_one_folder(source: Path, tmp_path: Path) -> None:
    whole = built(source, tmp_path / "whole")
    for number in range(TIMES):
        out = tmp_path / f"store{number}"
        options = ("build", "--source", source, "--out", out, "--workers", 1)
        first = command(*options)
        time.sleep(0.02 * number)
        results = sorted(ends(first, command(*options)))
        assert results[0][0] == 0, results
        assert results[1][0] == 2, results
        assert "another glr-shard build is at work" in results[1][1] or (
            "already holds a finished store" in results[1][1]
        )
        assert same(out, whole)  # and nothing is left of either


def test_two_indexes_of_one_name(source: Path, tmp_path: Path) -> None:
    store = built(source, tmp_path / "store")
    for number in range(TIMES):
        options = ("index", store, "--policy", "balanced", "--epochs", 40, "--name", f"x{number}")
        results = sorted(ends(command(*options), command(*options)))
        assert results[0][0] == 0, results
        assert results[1][0] == 2, results
        assert "another glr-shard index is at work" in results[1][1] or (
            "already there" in results[1][1]
        )
        raw = json.loads((store / f"index/x{number}/index.json").read_text())
        assert len(raw["epochs"]) == 40
    assert verify_store(store) == []


def test_a_name_of_an_index_that_is_a_link(source: Path, tmp_path: Path) -> None:
    store = built(source, tmp_path / "store")
    (store / "index").mkdir()
    (store / "index" / "x").symlink_to(tmp_path / "elsewhere")
    with pytest.raises(StoreError, match="already there"):
        write_index(store, IndexOptions("balanced", 1, 0, "x"))


def test_photos_that_change_before_a_build_goes_on(
    source: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    copy = Path(shutil.copytree(source, tmp_path / "source"))
    unfinished(copy, tmp_path / "store", monkeypatch, 2)
    photo = next((copy / "train").rglob("*.jpg"))
    photo.write_bytes(jpeg(777))
    with pytest.raises(StoreError, match="photos have changed since this build was interrupted"):
        built(copy, tmp_path / "store", shard_size=8)


def test_a_store_inside_its_source_goes_on(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    root = tmp_path / "photos"
    for number in range(40):
        (root / "ab"[number % 2]).mkdir(parents=True, exist_ok=True)
        (root / "ab"[number % 2] / f"{number}.jpg").write_bytes(jpeg(number))
    whole = built(root, tmp_path / "whole", shard_size=8)
    unfinished(root, root / "store", monkeypatch, 2)
    built(root, root / "store", shard_size=8)
    for name in ("rejected.csv", "samples.parquet", "manifest.json"):
        assert (root / "store" / name).read_bytes() == (whole / name).read_bytes()


@pytest.mark.parametrize("left", ["notes.txt", "plan.json"])
def test_a_work_folder_that_is_not_ours(source: Path, tmp_path: Path, left: str) -> None:
    work = tmp_path / "store" / ".building"
    work.mkdir(parents=True)
    (work / left).write_text("{mine")
    words = "is not of a build" if left == "notes.txt" else "damaged; remove .*store, then build"
    with pytest.raises(StoreError, match=words):
        built(source, tmp_path / "store")
    assert (work / left).read_text() == "{mine"


def test_a_work_folder_that_is_a_link(source: Path, tmp_path: Path) -> None:
    (tmp_path / "store").mkdir()
    (tmp_path / "other").mkdir()
    (tmp_path / "store" / ".building").symlink_to(tmp_path / "other")
    with pytest.raises(StoreError, match="is not a folder"):
        built(source, tmp_path / "store")


def test_sigterm_says_how_to_go_on(tmp_path: Path) -> None:
    kaggle(tmp_path / "source", {"1": 300, "2": 100})
    out = tmp_path / "store"
    options = ("--out", out, "--workers", 2, "--shard-size", 8)
    process = command("build", "--source", tmp_path / "source", *options)
    while not list(out.glob("*.tar")) and process.poll() is None:
        time.sleep(0.005)
    process.send_signal(signal.SIGTERM)
    ((code, said),) = ends(process)
    assert code == 143
    assert said.startswith("glr-shard: interrupted: ")
    assert "run the same command again to go on" in said
    assert said.count("\n") == 1
    built(tmp_path / "source", out, shard_size=8)
    assert verify_store(out) == []


def test_a_refused_build_leaves_no_folder(tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    with pytest.raises(StoreError):
        built(tmp_path / "empty", tmp_path / "store")
    assert not (tmp_path / "store").exists()


def test_an_interrupt_before_anything_is_written(
    source: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def stop(*args: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr("shard_tools.build.builder.read_source", stop)
    with pytest.raises(BuildInterruptedError, match="before anything was written"):
        built(source, tmp_path / "store")
    assert main(["stats", str(tmp_path / "store")]) == 2


def test_a_folder_that_disappears_during_a_build_is_its_own_error(tmp_path: Path) -> None:
    def build() -> None:
        with claimed(tmp_path / "store"):
            (tmp_path / "store").rmdir()
            raise FileNotFoundError("gone")

    with pytest.raises(FileNotFoundError, match="gone"):
        build()
