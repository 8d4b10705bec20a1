"""Random folder trees and tables: no traceback, and the labels of a simple reading."""

from __future__ import annotations

import csv
import io
import random
import shutil
import tempfile
import unicodedata
from pathlib import Path

from shard_tools.errors import StoreError
from shard_tools.sources import SourceOptions, read_source
from shard_tools.sources.look import describe, doubts
from shard_tools.sources.split_names import UNKNOWN, split_of
from tests.fuzz.loop import fuzz

FOLDERS = ["a", "b", "Fruit", "train", "Test", "val", "x y", "__MACOSX", ".h"]
FOLDERS += [unicodedata.normalize(form, "été") for form in ("NFC", "NFD")]
FILES = ["1.jpg", "2.JPEG", "3.png", "n.txt", "readme", "1.json", ".DS_Store", "q\nr.jpg"]
FILES += ["landmarks.csv"]
PHOTOS = (".jpg", ".jpeg", ".png")
PAST = [797183076, 2506248391, 2093517130, 23721346]


def assert_one_line(error: StoreError) -> None:
    assert "\n" not in str(error).replace("q\nr", "")


def simple_reading(root: Path, which: str) -> dict[str, str]:
    """Path -> class, by hand: hidden files and odd names left out, splits taken off."""
    found = {}
    files = [p.relative_to(root) for p in root.rglob("*") if p.is_file()]
    for file in files:
        parts = file.parts
        hidden = any(part.startswith((".", "__MACOSX")) for part in parts)
        odd = any(ord(char) < 32 for char in str(file))
        if not hidden and not odd and file.suffix.lower() in PHOTOS:
            found[str(file)] = parts[:-1]
    tops = {folders[0] for folders in found.values() if folders}
    places = {split_of(top) for top in tops}
    deep = any(len(f) > 1 for f in found.values() if f and split_of(f[0]) != UNKNOWN)
    if tops and UNKNOWN not in places and 0 in places and deep:
        found = {path: folders[1:] for path, folders in found.items()}
    pick = {"leaf": lambda f: f[-1], "top": lambda f: f[0], "path": "/".join}[which]
    return {p: unicodedata.normalize("NFC", pick(f)) for p, f in found.items() if f}


def grow(rng: random.Random, root: Path) -> None:
    for _ in range(rng.randint(1, 12)):
        folder = root.joinpath(*rng.choices(FOLDERS, k=rng.randint(0, 3)))
        folder.mkdir(parents=True, exist_ok=True)
        (folder / rng.choice(FILES)).write_bytes(b"x")


def folders(rng: random.Random) -> None:
    root = Path(tempfile.mkdtemp(prefix="fuzz-"))
    try:
        grow(rng, root)
        which = rng.choice([None, "leaf", "top", "path"])
        try:
            records = read_source(root, SourceOptions(layout="folders", classes=which))
        except StoreError as error:
            assert_one_line(error)
            return
        describe(records)
        doubts(root, records)
        ids = records.classes["landmark_id"].to_pylist()
        paths = records.photos["path"].to_pylist()
        labels = {p: ids[label] for p, label in zip(paths, records.labels.tolist(), strict=True)}
        assert labels == simple_reading(root, which or "leaf"), (labels, which)
    finally:
        shutil.rmtree(root)


def tables(rng: random.Random) -> None:
    root = Path(tempfile.mkdtemp(prefix="fuzz-"))
    try:
        for name in ("1.jpg", "2.jpg", "3.png"):
            (root / name).write_bytes(b"x")
        header = rng.choice(["path,label", "file,class,split", "image_id,landmark_id", "x,y", ""])
        cells = ["1.jpg", "2.jpg", "3.png", "1", "", " a ", "train", "test", "é", '"', "a\0b"]
        count = header.count(",") + 1
        lines = [rng.choices(cells, k=count) for _ in range(rng.randint(0, 6))]
        text = io.StringIO()
        if broken := rng.random() < 0.3:  # quotes and widths as they come
            text.write(
                "\n".join([header, *(",".join(line[: rng.randint(1, 4)]) for line in lines)])
            )
        else:
            csv.writer(text).writerows([header.split(","), *lines])
        data = text.getvalue().encode(rng.choice(["utf-8", "utf-8", "utf-16", "latin-1"]), "ignore")
        (root / "t.csv").write_bytes(data)
        try:
            records = read_source(root / "t.csv")
        except StoreError as error:
            assert_one_line(error)
            return
        describe(records)
        if broken:
            return
        wanted: dict[str, set[str]] = {}
        for line in lines:
            path, label, *_ = (cell.strip() for cell in line)
            wanted.setdefault(path, set()).update({label} - {""})
        ids = records.classes["landmark_id"].to_pylist()
        for path, label in zip(records.photos["path"].to_pylist(), records.labels, strict=True):
            known = wanted.get(path) or wanted.get(path.rsplit(".", 1)[0])
            assert known == {ids[label]}, (path, ids[label], known)
    finally:
        shutil.rmtree(root)


def test_folders() -> None:
    assert fuzz(folders, PAST) > 5


def test_tables() -> None:
    assert fuzz(tables, PAST) > 5
