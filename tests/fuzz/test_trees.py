"""Random folder trees, zips and tables: no traceback, and the labels of a simple reading.

The simple reading is written from docs/sources.md alone, with tuples and sets, and shares no code
with the reader.
"""

from __future__ import annotations

import csv
import io
import random
import re
import shutil
import tempfile
import unicodedata
import zipfile
from collections.abc import Callable
from pathlib import Path

from shard_tools.errors import StoreError
from shard_tools.sources import Records, SourceOptions, read_source
from shard_tools.sources.look import describe, doubts
from shard_tools.store import SPLITS
from tests.fuzz.loop import fuzz

FOLDERS = ["a", "b", "Fruit", "train", "Test", "val", "x y", "__MACOSX", ".h", "c,d"]
FOLDERS += ["train_set", "test1", "images", "Validation"]
FOLDERS += [unicodedata.normalize(form, "été") for form in ("NFC", "NFD")]
FILES = ["1.jpg", "2.JPEG", "3.png", "n.txt", "readme", "1.json", ".DS_Store", "q\nr.jpg"]
FILES += ["landmarks.csv", "Thumbs.db", "labels.csv", "t.jsonl"]
TEXTS = {"labels.csv": "path,label\n1.jpg,a\n2,b\n", "t.jsonl": '{"image": "a/1.jpg", "y": 1}'}
PHOTOS = (".jpg", ".jpeg", ".png")
KINDS = {
    **{"train": "train", "training": "train", "val": "val", "valid": "val", "validation": "val"},
    **{"dev": "val", "test": "test", "testing": "test"},
}
PAST = [3212488685, 42783042, 160103647, 797183076, 2506248391, 2093517130, 23721346, 69475960]
Folders = dict[str, tuple[str, ...]]
"""Path -> the folders that it is in."""


def assert_one_line(error: StoreError) -> None:
    assert "\n" not in str(error).replace("q\nr", "")


def roughly(name: str) -> str | None:
    kinds = {KINDS[word] for word in re.findall("[a-zé\u0301]+", name.lower()) if word in KINDS}
    return kinds.pop() if len(kinds) == 1 else None


def splits_called(names: set[str]) -> dict[str, str]:
    """The split of each name if they are all splits, by their exact names or at least roughly."""
    exact = {name: KINDS[name.lower()] for name in names if name.lower() in KINDS}
    if len(exact) == len(names):
        return exact
    rough = {name: kind for name in names if (kind := roughly(name))}
    return rough if len(rough) == len(names) and len(set(rough.values())) > 1 else {}


def photos_of(paths: list[str]) -> Folders:
    """Photos that are neither hidden nor oddly named."""
    found = {}
    for path in paths:
        parts = path.split("/")
        hidden = any(part.startswith((".", "__MACOSX")) for part in parts)
        odd = any(ord(char) < 32 for char in path)
        if not hidden and not odd and path.lower().endswith(PHOTOS):
            found[path] = tuple(parts[:-1])
    return found


def without_lone(folders: Folders, steps: int) -> Folders:
    """Take off outer folders that hold everything, as long as there are class folders in them."""
    while steps:
        outer = {inside[:1] for inside in folders.values()}
        lone = len(outer) == 1 and all(len(inside) > 1 for inside in folders.values())
        if not lone or next(iter(outer))[0].lower() in KINDS:
            break
        folders = {path: inside[1:] for path, inside in folders.items()}
        steps -= 1
    return folders


def simple_reading(paths: list[str], which: str, zipped: bool) -> dict[str, tuple[str, str]]:
    """Path -> class and split ("" where the tree says none)."""
    found = photos_of(paths)
    lone = without_lone(found, 99)
    outer = {inside[0] for inside in lone.values() if inside}
    nested = any(len(inside) > 1 and roughly(inside[0]) for inside in lone.values())
    known = splits_called(outer) if outer and nested and () not in lone.values() else {}
    if not known:  # folders around class folders say nothing, but one more makes a zip
        lone = without_lone(found, 1) if zipped else found
        outer = {inside[0] for inside in lone.values() if inside}
        nested = any(len(inside) > 1 and roughly(inside[0]) for inside in lone.values())
        known = splits_called(outer) if nested else {}
    splits = dict.fromkeys(found, "")
    if known:
        if len(set(known.values())) > 1:
            splits = {path: known.get(inside[0], "") for path, inside in lone.items() if inside}
        classes = {path: inside[1:] for path, inside in lone.items()}
        same = all(i[0] == i[1] for i in lone.values() if len(i) > 1)
        if same and any(len(inside) > 1 for inside in classes.values()):
            classes = {path: inside[1:] for path, inside in classes.items()}
    else:
        classes = lone
        last = {inside[-1].lower() for inside in lone.values() if len(inside) > 1}
        deep = all(len(inside) > 1 for inside in lone.values())
        if deep and last <= set(KINDS) and len({KINDS[name] for name in last}) > 1:
            splits = {path: KINDS[inside[-1].lower()] for path, inside in lone.items()}
            classes = {path: inside[:-1] for path, inside in lone.items()}
    pick: dict[str, Callable[[tuple[str, ...]], str]] = {
        "leaf": lambda inside: inside[-1],
        "top": lambda inside: inside[0],
        "path": "/".join,
    }
    return {
        path: (unicodedata.normalize("NFC", pick[which](inside)), splits.get(path, ""))
        for path, inside in classes.items()
        if inside
    }


def what_was_read(records: Records) -> dict[str, tuple[str, str]]:
    ids = records.classes["landmark_id"].to_pylist()
    count = len(records.photos)
    given = [-1] * count if records.given is None else records.given.tolist()
    return {
        path: (ids[label], SPLITS[split] if split >= 0 else "")
        for path, label, split in zip(
            records.photos["path"].to_pylist(), records.labels.tolist(), given, strict=True
        )
    }


def grow(rng: random.Random, root: Path) -> list[str]:
    """Some files in some folders; their paths."""
    depths = rng.choice([[0, 1, 2, 3], [1], [2], [3], [1, 2]])
    lone = rng.choice([[], [], ["a"], ["data", "x"]])
    names = rng.sample(FOLDERS, rng.randint(2, len(FOLDERS)))
    paths = set()
    for _ in range(rng.randint(1, 12)):
        folder = [*lone, *rng.choices(names, k=rng.choice(depths))]
        paths.add("/".join([*folder, rng.choice(FILES)]))
    for path in paths:
        (root / path).parent.mkdir(parents=True, exist_ok=True)
        (root / path).write_text(TEXTS.get(path.rpartition("/")[2], "x"))
    return sorted(paths)


def folders(rng: random.Random) -> None:
    root = Path(tempfile.mkdtemp(prefix="fuzz-"))
    try:
        paths = grow(rng, root / "t")
        source, zipped = root / "t", rng.random() < 0.4
        if zipped:
            source = root / "t.zip"
            with zipfile.ZipFile(source, "w") as file:
                for path in paths:
                    file.writestr(path, TEXTS.get(path.rpartition("/")[2], "x"))
        which = rng.choice([None, "leaf", "top", "path"])
        wanted = simple_reading(paths, which or "leaf", zipped)
        try:
            records = read_source(source, SourceOptions(layout="folders", classes=which))
        except StoreError as error:
            assert_one_line(error)
            names = {inside for inside in photos_of(paths).values() if inside}
            plain = all(len(inside) == 1 and not roughly(inside[0]) for inside in names)
            if names and plain:
                raise AssertionError("a plain folder per class was refused") from error
            return
        describe(records)
        doubts(source, records)
        assert what_was_read(records) == wanted, (what_was_read(records), wanted, which)
    finally:
        shutil.rmtree(root)


WAYS: list[Callable[[str], str]] = [
    lambda path: path,
    lambda path: path.replace("/", "\\"),
    lambda path: path.rpartition(".")[0],
    lambda path: path.rpartition("/")[2],
    lambda path: Path(path).stem,
]
"""Ways in which a table may name a photo."""


def tables(rng: random.Random) -> None:
    """Every photo has a stem of its own, so what a row means is plain."""
    root = Path(tempfile.mkdtemp(prefix="fuzz-"))
    try:
        folders = rng.sample(["", "images/", "train/", "test/", "images/x y/", "é/"], 3)
        photos = [f"{rng.choice(folders)}{number}.jpg" for number in range(8)]
        for path in photos:
            (root / path).parent.mkdir(parents=True, exist_ok=True)
            (root / path).write_bytes(b"x")
        header = rng.choice(
            ["path,label", "file,class,split", "image_id,landmark_id", "Label, Filename", "x,y"]
        )
        names = [name.strip().lower() for name in header.split(",")]
        ways = rng.choice([WAYS, [rng.choice(WAYS)]])
        rows = [(rng.choice(ways)(rng.choice(photos)), rng.choice("ab")) for _ in range(8)]
        rows += [("", "a"), ("none.jpg", "b"), (photos[0], "")][: rng.randint(0, 3)]
        lines = [
            [{"label": mark, "class": mark, "landmark_id": mark, "y": mark, "split": "train"}.get(
                name, path) for name in names]
            for path, mark in rows
        ]  # fmt: skip
        text = io.StringIO()
        csv.writer(text, delimiter=rng.choice(",,;\t")).writerows([header.split(","), *lines])
        data = text.getvalue()
        if broken := rng.random() < 0.2:
            place = rng.randrange(len(data))
            data = data[:place] + rng.choice(['"', "\0", ",", "\n", "é"]) + data[place:]
        code = rng.choice(["utf-8", "utf-8", "utf-8-sig", "utf-16", "latin-1"])
        (root / "t.csv").write_bytes(data.encode(code, "ignore"))
        try:
            records = read_source(root / "t.csv")
        except StoreError as error:
            assert_one_line(error)
            return
        describe(records)
        doubts(root / "t.csv", records)
        if broken:
            return
        assert_rows(records, rows, mixed=len(ways) > 1)
    finally:
        shutil.rmtree(root)


def stem(path: str) -> str:
    return re.split(r"[/\\]", path)[-1].removesuffix(".jpg")


def assert_rows(records: Records, rows: list[tuple[str, str]], mixed: bool) -> None:
    """Each photo has the only label of the rows that name it; a torn one is left out.

    Where a table names one photo in several ways, the rows may be taken for several photos.
    """
    wanted: dict[str, set[str]] = {}
    for path, mark in rows:
        if path and mark:
            wanted.setdefault(stem(path), set()).add(mark)
    read: dict[str, set[str]] = {}
    for path, (mark, _) in what_was_read(records).items():
        read.setdefault(stem(path), set()).add(mark)
    if mixed:
        assert all(marks <= wanted.get(name, set()) for name, marks in read.items()), (read, rows)
    else:
        sure = {name: marks for name, marks in wanted.items() if len(marks) == 1}
        assert read == sure, (read, rows)


def test_folders() -> None:
    fuzz(folders, PAST)


def test_tables() -> None:
    fuzz(tables, PAST)
