"""Every command of docs/sources.md, typed in a folder where its photos lie."""

from __future__ import annotations

import re
import shlex
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from shard_tools.cli import main
from shard_tools.store import Store
from shard_tools.verify import verify_store
from tests.helpers.layouts import TREES, Reading
from tests.helpers.photos import built
from tests.helpers.stores import same
from tests.helpers.trees import numbered, tree

PAGE = (Path(__file__).parents[2] / "docs" / "sources.md").read_text()


def table(title: str) -> list[list[str]]:
    """The cells of the rows of the page's table below a heading."""
    lines = PAGE.partition(f"## {title}\n")[2].partition("\n## ")[0].splitlines()
    rows = [line.strip("| ").split(" | ") for line in lines if line.startswith("| ")]
    return rows[1:]


ROWS = {cells[0]: cells[1].strip("`") for cells in table("What to type")}
OPTIONS = {cells[0].strip("`"): cells[1] for cells in table("Choosing photos")}


def reading(store: Path) -> Reading:
    rows = Store.open(store).samples(["path", "landmark_id", "split"]).to_pylist()
    return {row["path"]: (row["landmark_id"], row["split"]) for row in rows}


def row_of(beginning: str) -> str:
    (command,) = [command for row, command in ROWS.items() if row.startswith(beginning)]
    return command


def typed(command: str, *more: str) -> int:
    program, *arguments = shlex.split(command)
    assert program == "glr-shard"
    return main([*arguments, *more])


@pytest.fixture(autouse=True)
def in_an_empty_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


def test_every_row_has_a_tree() -> None:
    assert len(TREES) == len(ROWS)
    assert len({row_of(beginning) + beginning for beginning in TREES}) == len(ROWS)


@pytest.mark.parametrize("beginning", TREES)
def test_what_the_page_says_to_type(beginning: str) -> None:
    wanted = TREES[beginning]()
    assert typed(row_of(beginning), "--workers", "1") == 0
    found = reading(Path("store"))
    assert found.keys() == wanted.keys()
    for path, (name, split) in wanted.items():
        assert found[path][0] == name
        # Only a val that is cut from train changes a split that the source gives.
        cut = (split, found[path][1]) == ("train", "val") and "val" not in dict(wanted.values())
        assert split in ("*", found[path][1]) or cut


def of_run() -> None:
    built(Path("photos"), Path("trained"), exclude_classes=("dog",))
    folder = Path("runs/a/best")
    folder.mkdir(parents=True)
    shutil.copy("trained/classes.parquet", folder)


#: Option of the page -> what it needs beside the photos, and the classes of the store.
CHOICES: dict[str, tuple[Callable[[], object], list[str]]] = {
    '--exclude-classes "Not sure,Other"': (lambda: None, ["cat", "dog"]),
    "--classes-file classes.txt": (
        lambda: Path("classes.txt").write_text("dog\nOther\n"),
        ["Other", "dog"],
    ),
    "--min-images 5": (lambda: None, ["Not sure", "cat", "dog"]),
    "--top-classes 2": (lambda: None, ["cat", "dog"]),
    "--group-by user_id": (lambda: None, ["Not sure", "Other", "cat", "dog"]),
    "--classes-of runs/a --splits 0,0,1": (of_run, ["Not sure", "Other", "cat", "dog"]),
}


@pytest.mark.parametrize("option", OPTIONS)
def test_the_options_of_the_page(option: str, capsys: pytest.CaptureFixture[str]) -> None:
    sizes = {"cat": 8, "dog": 9, "Not sure": 5, "Other": 2}
    paths = [f"{name}/{n}.jpg" for name, size in sizes.items() for n in range(size)]
    tree(Path("photos"), paths)
    users = [f"{path},{path.split('/')[0]},u{n // 2}" for n, path in enumerate(paths)]
    Path("photos.csv").write_text("\n".join(["path,label,user_id", *users]) + "\n")
    prepare, classes = CHOICES[option]
    prepare()
    capsys.readouterr()
    source = "photos.csv" if "group" in option else "photos"
    assert typed(f"glr-shard build --source {source} --out store --workers 1 --yes {option}") == 0
    printed = capsys.readouterr().out
    store = Store.open(Path("store"))
    assert store.classes()["landmark_id"].to_pylist() == classes
    if "group" in option:
        split_of = {u.rpartition(",")[2]: set() for u in users}
        for path, (_, split) in reading(Path("store")).items():
            split_of[users[paths.index(path)].rpartition(",")[2]].add(split)
        assert {len(splits) for splits in split_of.values()} == {1}
        assert "12 groups kept whole: train" in printed
    if "classes-of" in option:
        assert store.known_classes == 3
        assert "9 photos of 1 class that a does not know: dog" in printed
        assert store.class_counts("test").tolist() == [5, 2, 8, 9]


def test_the_look_of_the_page(capsys: pytest.CaptureFixture[str]) -> None:
    block = re.search(r"    \$ (glr-shard build .*)\n((?:    .*\n)+)", PAGE)
    assert block
    per_class = {"train": 6, "Valid": 2, "test": 2}
    names = ("cat", "dog", "emu")
    paths = [
        f"{s}/{n}/{i}.jpg" for s, size in per_class.items() for n in names for i in range(size)
    ]
    tree(Path("photos"), paths)
    assert typed(block[1]) == 0
    assert capsys.readouterr().out == re.sub("(?m)^    ", "", block[2])
    assert [path.name for path in Path().iterdir()] == ["photos"]


def test_the_repair_of_the_page() -> None:
    verify, repair = re.findall(r"(?m)^    (glr-shard (?:verify|repair) .*)$", PAGE)
    tree(Path("photos"), numbered("a", "b", photos=9))
    built(Path("photos"), Path("store"), shard_size=5)
    shutil.copytree("store", "whole")
    Path("store/train-000001.tar").write_bytes(b"")
    Path("store/val-000000.idx").unlink()
    assert typed(verify) == 1
    assert typed(repair, "--workers", "1") == 0
    assert same(Path("store"), Path("whole"))
    assert verify_store(Path("store")) == []
