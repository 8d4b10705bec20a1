"""Photos into folders: each once, nothing overwritten, continued after any interruption."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from glr_fast.errors import ConfigError
from glr_fast.prediction import Answers, Listed, PredictOptions, list_arguments, predict
from glr_fast.prediction.names import folder_name, numbered, safe_name
from glr_fast.prediction.sort_into import JOURNAL, UNSURE, Sorter, check_sort_into, folders_of
from glr_fast.trained_model import TrainedModel
from tests.conftest import REPOSITORY
from tests.helpers.photos import jpeg
from tests.helpers.sources import zipped

NAMES = ["Taj Mahal", "泰姬陵", "../../etc", "taj mahal", "7", "a/b"]
IDS = ["1", "2", "3", "1", "7", "6"]


@given(st.text(max_size=300))
def test_names_that_every_system_takes(name: str) -> None:
    for made in (safe_name(name), folder_name(name, "12")):
        assert 0 < len(made.encode()) <= 140
        assert not set(made) & set('/\\:*?"<>|\0\n')
        assert made[0] != "."
        assert made[-1] not in ". "
        assert made.strip("_ ") or "photo" in made or "landmark" in made


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("a.jpg", "a.jpg"),
        ("..", "photo"),
        ("CON.jpg", "_CON.jpg"),
        ("a:b?.jpg", "a_b_.jpg"),
        ("x" * 300 + ".jpeg", "x" * 115 + ".jpeg"),
        ("é" * 200, "é" * 60),
        ("e\u0301.jpg", "é.jpg"),
    ],
)
def test_safe_names(name: str, expected: str) -> None:
    assert safe_name(name) == expected


def test_numbers() -> None:
    assert [numbered("a.b.jpg", n) for n in (1, 2, 10)] == [
        "a.b.jpg",
        "a.b (2).jpg",
        "a.b (10).jpg",
    ]
    assert numbered("name", 2) == "name (2)"


@pytest.fixture
def shots(tmp_path: Path) -> Path:
    """Six photos, all with the same name."""
    for number in range(6):
        folder = tmp_path / f"photos/{number}"
        folder.mkdir(parents=True)
        (folder / "img.jpg").write_bytes(jpeg(number))
    return tmp_path / "photos"


def says(listed: Listed, labels: list[int], unsure: list[int] = []) -> Answers:  # noqa: B006
    rows = np.arange(len(labels))
    best = np.ones((len(labels), 1), np.float32)
    doubt = np.isin(rows, unsure)
    return Answers(rows, listed.paths(rows), np.array(labels)[:, None], best, doubt, None, [])


def sort(folder: Path, listed: Listed, answers: Answers, link: str | None = None) -> Sorter:
    sorter = Sorter(folder, listed, NAMES, IDS, link)  # type: ignore[arg-type]
    sorter.add(answers)
    sorter.close()
    return sorter


def tree(folder: Path) -> dict[str, bytes]:
    files = (path for path in sorted(folder.rglob("*")) if path.is_file())
    return {str(path.relative_to(folder)): path.read_bytes() for path in files}


def test_folders_by_landmark(shots: Path, tmp_path: Path) -> None:
    listed, out = list_arguments([shots]), tmp_path / "out"
    assert sort(out, listed, says(listed, [0, 0, 1, 2, 3, 4], [5])).done == 6
    found = tree(out)
    del found[JOURNAL]
    assert list(found) == sorted(
        [
            "Taj Mahal (1)/img.jpg",
            "Taj Mahal (1)/img (2).jpg",
            "泰姬陵 (2)/img.jpg",
            "_.._etc (3)/img.jpg",
            "taj mahal (1) (2)/img.jpg",  # some systems know no upper and lower case
            f"{UNSURE}/img.jpg",
        ]
    )
    assert sorted(found.values()) == sorted(jpeg(number) for number in range(6))
    assert {path.name for path in out.iterdir()} == {p.split("/")[0] for p in tree(out)}


def test_repeated_it_does_nothing(shots: Path, tmp_path: Path) -> None:
    listed, out = list_arguments([shots]), tmp_path / "out"
    answers = says(listed, [0] * 6)
    sort(out, listed, answers)
    before = tree(out)
    (out / "Taj Mahal (1)/img.jpg").unlink()  # a user removed it: it does not come back
    again = sort(out, listed, answers)
    assert (again.done, again.before) == (0, 6)
    assert tree(out).keys() == before.keys() - {"Taj Mahal (1)/img.jpg"}


def test_what_is_there_is_never_overwritten(shots: Path, tmp_path: Path) -> None:
    listed, out = list_arguments([shots]), tmp_path / "out"
    (out / "Taj Mahal (1)").mkdir(parents=True)
    (out / "Taj Mahal (1)/img.jpg").write_text("another")
    sort(out, listed, says(listed, [0] * 6))
    assert (out / "Taj Mahal (1)/img.jpg").read_text() == "another"
    assert (out / "Taj Mahal (1)/img (7).jpg").exists()


@pytest.mark.parametrize("torn", [b"", b"/half a li", b'"/half'])
def test_a_copy_that_was_not_yet_written_down(shots: Path, tmp_path: Path, torn: bytes) -> None:
    listed, out = list_arguments([shots]), tmp_path / "out"
    answers = says(listed, [0] * 6)
    sort(out, listed, answers)
    before = tree(out)
    lines = (out / JOURNAL).read_bytes().splitlines(keepends=True)
    (out / JOURNAL).write_bytes(b"".join(lines[:4]) + torn)
    (out / ".sorting-left").mkdir()
    sort(out, listed, answers)
    after = tree(out)
    assert {k: v for k, v in after.items() if k != JOURNAL} == {
        k: v for k, v in before.items() if k != JOURNAL
    }
    assert (out / JOURNAL).read_bytes() == b"".join(lines)
    assert not (out / ".sorting-left").exists()


@pytest.mark.parametrize("link", ["hard", "symbolic"])
def test_links(shots: Path, tmp_path: Path, link: str) -> None:
    zipped(shots, tmp_path / "more.zip")
    listed, out = list_arguments([shots, tmp_path / "more.zip"]), tmp_path / "out"
    answers = says(listed, [0] * 12)
    sort(out, listed, answers, link)
    files = sorted((out / "Taj Mahal (1)").iterdir(), key=lambda file: file.stat().st_mtime)
    assert len(files) == 12
    linked = [file for file in files if any(file.samefile(p) for p in shots.rglob("*.jpg"))]
    assert len(linked) == 6
    assert sum(file.is_symlink() for file in files) == (6 if link == "symbolic" else 0)
    assert sort(out, listed, answers, link).done == 0


def test_two_at_once(shots: Path, tmp_path: Path) -> None:
    listed = list_arguments([shots])
    first = Sorter(tmp_path / "out", listed, NAMES, IDS, None)
    with pytest.raises(ConfigError, match="another glr-predict sorts into it"):
        Sorter(tmp_path / "out", listed, NAMES, IDS, None)
    first.close()


def test_what_cannot_be_sorted_into(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    for folder, words in (("file", "is a file"), ("no/where", "there is no folder")):
        with pytest.raises(ConfigError, match=words):
            check_sort_into(tmp_path / folder)
    (tmp_path / JOURNAL).write_text("something,else\n")
    with pytest.raises(ConfigError, match="not a list that --sort-into wrote"):
        Sorter(tmp_path, list_arguments([tmp_path]), NAMES, IDS, None)


@pytest.fixture
def many(tmp_path: Path) -> Iterator[Path]:
    folder = tmp_path / "many"
    folder.mkdir()
    for number in range(300):
        (folder / f"{number}.jpg").write_bytes(jpeg(number))
    yield folder
    shutil.rmtree(folder)


@pytest.mark.slow
def test_killed_and_repeated(model: TrainedModel, run: Path, many: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    command = [sys.executable, "launch/predict.py", "--model", str(run), str(many)]
    command += ["--sort-into", str(out), "--batch-size", "4"]
    environment = os.environ | {"PYTHONPATH": str(REPOSITORY), "CUDA_VISIBLE_DEVICES": ""}
    process = subprocess.Popen(command, cwd=REPOSITORY, env=environment, stderr=subprocess.DEVNULL)
    deadline = time.monotonic() + 120
    while time.monotonic() < deadline and len(list(out.rglob("*.jpg"))) < 20:
        time.sleep(0.01)
    process.send_signal(signal.SIGKILL)
    process.wait()
    options = PredictOptions(sort_into=out, threads=2)
    outcome = predict(model, many, options)
    assert outcome.sorted_before >= 19
    files = [path for path in out.rglob("*") if path.is_file() and path.name != JOURNAL]
    assert sorted(file.name for file in files) == sorted(f"{n}.jpg" for n in range(300))


def test_a_label_has_one_folder_whichever_comes_first() -> None:
    names, ids = ["x" * 120 + " A", "x" * 120 + " B", "paris", "Paris"], ["1", "2", "3", "3"]
    folders = folders_of(names, ids)
    assert len({folder.lower() for folder in folders}) == 4
    assert [folder.rpartition(" ")[2] for folder in folders[:2]] == ["(1)", "(2)"]
    assert folders[2:] == ["paris (3)", "Paris (3) (2)"]


def test_another_model_does_not_go_on_with_the_folders(tmp_path: Path, model: TrainedModel) -> None:
    (tmp_path / "a.jpg").write_bytes(jpeg())
    options = PredictOptions(sort_into=tmp_path / "sorted")
    assert predict(model, [tmp_path / "a.jpg"], options).sorted_now == 1
    assert predict(model, [tmp_path / "a.jpg"], options).sorted_before == 1
    other = replace(model, note={"step": "99"})
    with pytest.raises(ConfigError, match=r"was sorted by .*, not by .*step 99\); give another"):
        predict(other, [tmp_path / "a.jpg"], options)
