"""The demo's photos: the same bytes each time, and an album that no training can have seen."""

from __future__ import annotations

import hashlib
import subprocess
import sys
from pathlib import Path

from shard_tools.demo_photos import write_album, write_kaggle_dataset
from tests.conftest import REPOSITORY

SIZE = (96, 72)


def digests(folder: Path) -> list[str]:
    return [hashlib.sha256(p.read_bytes()).hexdigest() for p in sorted(folder.rglob("*.jpg"))]


def test_an_album_shows_the_landmarks_on_other_photos(tmp_path: Path) -> None:
    write_kaggle_dataset(tmp_path / "set", classes=3, largest=4, smallest=4, seed=5, size=SIZE)
    assert write_album(tmp_path / "album", classes=3, each=4, seed=5, size=SIZE) == 16
    album = digests(tmp_path / "album")
    assert len(set(album)) == 16
    assert not set(album) & set(digests(tmp_path / "set"))
    assert sorted(p.name for p in (tmp_path / "album").iterdir())[0] == "IMG_0001.jpg"
    write_album(tmp_path / "again", classes=3, each=4, seed=5, size=SIZE)
    assert digests(tmp_path / "again") == album


def test_the_command_writes_either(tmp_path: Path) -> None:
    def run(*arguments: str) -> str:
        line = [sys.executable, "-m", "shard_tools.demo_photos", *arguments]
        done = subprocess.run(line, cwd=REPOSITORY, capture_output=True, text=True, check=True)
        return done.stdout

    counts = ("--classes", "2", "--largest", "2", "--smallest", "1")
    assert run(str(tmp_path / "set"), *counts).startswith("3 photos of 2 landmarks in ")
    assert run(str(tmp_path / "album"), "--classes", "2", "--album", "1").startswith(
        "3 photos without labels in "
    )
    assert not (tmp_path / "album" / "train.csv").exists()
