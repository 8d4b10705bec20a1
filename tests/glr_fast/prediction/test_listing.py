"""What a user names comes out as photos, or as a line that says why not."""

from __future__ import annotations

import io
import os
import sys
import tarfile
from collections.abc import Sequence
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest

from glr_fast.prediction.listing import Listed, list_arguments
from tests.helpers.photos import jpeg
from tests.helpers.sources import zipped


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder to stand in, with some photos below it."""
    for number, name in enumerate(["trip/b.jpg", "trip/a.JPG", "trip/day 2/ü.png", "[x].jpg"]):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_bytes(jpeg(number))
    (tmp_path / "trip/notes.txt").write_text("no photo")
    (tmp_path / "trip/.hidden.jpg").write_bytes(jpeg())
    (tmp_path / "empty").mkdir()
    zipped(tmp_path / "trip", tmp_path / "trip.zip", "in/")
    with tarfile.open(tmp_path / "trip.tar", "w") as tar:
        tar.add(tmp_path / "trip", "in")
    monkeypatch.chdir(tmp_path)
    return tmp_path


def paths(listed: Listed) -> list[str]:
    return listed.paths(np.arange(len(listed)))


def reasons(listed: Listed) -> list[tuple[str, str]]:
    return [(found.path, found.reason) for found in listed.rejected]


FOLDER = ["trip/a.JPG", "trip/b.jpg", "trip/day 2/ü.png"]


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        (["trip"], FOLDER),
        (["trip/"], FOLDER),
        (["trip", "./trip/../trip"], FOLDER),
        (["trip", "trip"], FOLDER),
        (["trip/b.jpg", "./trip"], ["trip/b.jpg", "trip/a.JPG", "trip/day 2/ü.png"]),
        (["trip/b.jpg", "trip/a.JPG", "trip/b.jpg"], ["trip/b.jpg", "trip/a.JPG"]),
        (["trip/*.jpg"], ["trip/b.jpg"]),
        (["trip/**/*.png"], ["trip/day 2/ü.png"]),
        (["[x].jpg"], ["[x].jpg"]),
        (["trip/notes.txt"], ["trip/notes.txt"]),  # named by the user: its content decides
        (["trip.zip"], [f"trip.zip/in/{path[5:]}" for path in FOLDER]),
        (["trip.tar"], [f"trip.tar/in/{path[5:]}" for path in FOLDER]),
        (["trip.zip", "trip"], [*FOLDER, *(f"trip.zip/in/{path[5:]}" for path in FOLDER)]),
    ],
)
def test_what_is_named(here: Path, arguments: Sequence[str], expected: list[str]) -> None:
    listed = list_arguments(arguments)
    assert sorted(paths(listed)) == sorted(expected)
    assert not listed.rejected
    for row, path in enumerate(paths(listed)):
        inside = path.split("/in/")[-1] if "/in/" in path else path
        original = here / inside if (here / inside).exists() else here / "trip" / inside
        assert listed.read(row) == original.read_bytes()
        assert (listed.file(row) is None) == ("/in/" in path)


@pytest.mark.parametrize(
    ("argument", "reason"),
    [
        ("nowhere.jpg", "no such file"),
        ("nowhere/*.jpg", "no file fits this pattern"),
        ("empty", "no photo there"),
        ("s3://bucket/photos", "cannot be listed"),
        ("trip.tar.gz", "cannot be listed"),
        ("broken.zip", "cannot be listed"),
        ("broken.tar", "cannot be listed"),
        ("dangling.jpg", "link to nothing"),
        (os.fsdecode(b"caf\xe9.jpg"), "file name is not UTF-8"),
    ],
)
def test_what_is_not_there(here: Path, argument: str, reason: str) -> None:
    for name in ("trip.tar.gz", "broken.zip", "broken.tar"):
        (here / name).write_bytes(b"nothing of the kind")
    (here / "dangling.jpg").symlink_to("gone.jpg")
    listed = list_arguments([argument, "[x].jpg"])
    assert paths(listed) == ["[x].jpg"]
    ((path, why),) = reasons(listed)
    assert why == reason
    path.encode()  # can be printed and written


def test_a_folder_of_zips_says_so(here: Path) -> None:
    (here / "trip.zip").rename(here / "empty/trip.zip")
    listed = list_arguments(["empty"])
    assert listed.rejected[0].detail == "give the zips in it, such as empty/trip.zip"


@pytest.mark.parametrize("end", [b"\n", b"\r\n", b"\0"])
def test_names_on_standard_input(here: Path, monkeypatch: pytest.MonkeyPatch, end: bytes) -> None:
    text = end.join([b"trip/b.jpg", b"", b"[x].jpg", b"gone.jpg", b"trip/day 2", b""])
    monkeypatch.setattr(sys, "stdin", SimpleNamespace(buffer=io.BytesIO(text)))
    listed = list_arguments(["-"])
    assert paths(listed) == ["trip/b.jpg", "[x].jpg", "trip/day 2/ü.png"]
    assert reasons(listed) == [("gone.jpg", "no such file")]


def test_where_the_answers_go_is_left_out(here: Path) -> None:
    (here / "trip/sorted/Taj").mkdir(parents=True)
    (here / "trip/sorted/Taj/b.jpg").write_bytes(jpeg())
    (here / "trip/sorted2").mkdir()
    (here / "trip/sorted2/c.jpg").write_bytes(jpeg())
    listed = list_arguments(["trip"], [Path("trip/sorted"), None])
    assert sorted(paths(listed)) == [*FOLDER, "trip/sorted2/c.jpg"]


def test_a_store(store: Path, photos: Path) -> None:
    listed = list_arguments([store])
    originals = {path.stem: path.read_bytes() for path in photos.rglob("*.jpg")}
    names = paths(listed)
    assert len(names) == len(originals)
    for row in (0, 17, len(names) - 1):
        assert listed.read(row) == originals[Path(names[row]).stem]


def test_other_files_are_counted(here: Path) -> None:
    assert list_arguments(["trip"]).others == 1


def test_what_the_answers_went_to_is_left_out_however_it_is_named(
    here: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (here / "trip/sorted/Taj").mkdir(parents=True)
    (here / "trip/sorted/Taj/b.jpg").write_bytes(jpeg())
    (here / "trip/..odd").mkdir()
    (here / "trip/..odd/c.jpg").write_bytes(jpeg())
    ours = [Path("trip/sorted"), Path("trip/..odd")]
    typed = list_arguments(["trip/**/*.jpg"], ours)
    assert sorted(paths(typed)) == ["trip/b.jpg"]
    names = b"trip/b.jpg\ntrip/sorted/Taj/b.jpg\n"
    monkeypatch.setattr("sys.stdin", SimpleNamespace(buffer=io.BytesIO(names)))
    assert paths(list_arguments(["-"], ours)) == ["trip/b.jpg"]
    assert "trip/..odd/c.jpg" not in paths(list_arguments(["trip"], ours))


def test_a_photo_behind_a_link_is_one_photo(here: Path) -> None:
    (here / "link").symlink_to("trip")
    assert len(list_arguments(["link", "link/b.jpg", "trip/b.jpg"])) == 3
