"""Photos in every layout of docs/sources.md, made in the current folder."""

from __future__ import annotations

import json
import shutil
import zipfile
from collections.abc import Callable
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from tests.helpers.photos import built, jpeg, kaggle
from tests.helpers.sources import tars, zipped
from tests.helpers.trees import numbered, tree

Reading = dict[str, tuple[str, str]]
"""Path of a photo -> its class and its split; "*" where the build chooses the split."""


def folders(*paths: str, label: int, split: int | None = None) -> Callable[[], Reading]:
    """Photos in folders; which part of the path is the class, and which the split."""

    def grow() -> Reading:
        every = numbered(*paths, photos=5)
        tree(Path("photos"), every)
        parts = {path: path.split("/") for path in every}
        return {p: (q[label], "*" if split is None else q[split]) for p, q in parts.items()}

    return grow


def of_splits(pattern: str, *splits: str) -> list[str]:
    return [pattern.format(split=split, name=name) for split in splits for name in ("cat", "dog")]


def nested(name: Callable[[str], str]) -> Callable[[], Reading]:
    def grow() -> Reading:
        paths = numbered("Fruit/Apple/Golden", "Fruit/Apple/Pink", "Veg/Leek/Blue", photos=5)
        tree(Path("photos"), paths)
        return {path: (name(path), "*") for path in paths}

    return grow


def flat(folder: str, file: str, head: str, line: str) -> Callable[[], Reading]:
    """Photos in one folder, and a table of them whose lines are made of n, name and split."""

    def grow() -> Reading:
        tree(Path(folder), [f"{n}.jpg" for n in range(12)])
        names = ["val" if n % 4 == 1 else "test" if n % 4 == 2 else "train" for n in range(12)]
        lines = [line.format(n=n, name="ab"[n % 2], split=names[n]) for n in range(12)]
        Path(file).parent.mkdir(exist_ok=True)
        Path(file).write_text("".join(f"{text}\n" for text in ([head] if head else []) + lines))
        known = "split" in line
        return {
            line.format(n=n, name="", split="").split(",")[0]: (
                "ab"[n % 2],
                names[n] if known else "*",
            )
            for n in range(12)
        }

    return grow


def json_lines() -> Reading:
    wanted = flat("images", "t.jsonl", "", '{{"image": "{n}.jpg", "label": "{name}"}}')()
    return {f"{n}.jpg": mark for n, mark in enumerate(wanted.values())}


def split_tables() -> Reading:
    wanted = {}
    tree(Path("photos/images"), [f"{n}.jpg" for n in range(16)])
    for place, part in enumerate(("train", "test")):
        rows = {f"{n}.jpg": "ab"[n % 2] for n in range(8 * place, 8 * place + 8)}
        text = "".join(f"{path},{name}\n" for path, name in rows.items())
        Path(f"photos/{part}.csv").write_text(f"filename,label\n{text}")
        wanted |= {path: (name, part) for path, name in rows.items()}
    return wanted


def image_folder() -> Reading:
    for part in ("train", "test"):
        tree(Path("photos", part), [f"{n}.jpg" for n in range(6)])
        rows = "".join(f"{n}.jpg,{'xy'[n % 2]}\n" for n in range(6))
        Path("photos", part, "metadata.csv").write_text(f"file_name,label\n{rows}")
    return {f"{s}/{n}.jpg": ("xy"[n % 2], s) for s in ("train", "test") for n in range(6)}


def hub_file(file: Path, count: int) -> Reading:
    names = {"info": {"features": {"label": {"names": ["ash", "oak"], "_type": "ClassLabel"}}}}
    images = [{"bytes": jpeg(count + n), "path": f"{n}.jpg"} for n in range(count)]
    rows = pa.table({"image": images, "label": [n % 2 for n in range(count)]})
    file.parent.mkdir(exist_ok=True)
    pq.write_table(rows.replace_schema_metadata({"huggingface": json.dumps(names)}), file)
    return {f"{file.stem}-{n:08d}.jpg": (("ash", "oak")[n % 2], "*") for n in range(count)}


def hub() -> Reading:
    wanted = {}
    for part, count in (("train", 8), ("test", 4)):
        found = hub_file(Path(f"photos/{part}-00000-of-00001.parquet"), count)
        wanted |= {path: (name, part) for path, (name, _) in found.items()}
    return wanted


def competition() -> Reading:
    labels = kaggle(Path("photos"), {"5": 9, "40": 6})
    return {f"{i[0]}/{i[1]}/{i[2]}/{i}.jpg": (mark, "*") for i, mark in labels.items()}


def competition_zip() -> Reading:
    wanted = competition()
    zipped(Path("photos"), Path("photos.zip"))
    shutil.rmtree("photos")
    return {f"train/{path}": row for path, row in wanted.items()}


def google() -> Reading:
    wanted = competition()
    Path("photos").rename("kaggle")
    tars(Path("kaggle"), Path("photos"), count=1)
    return {f"images_000.tar/{path}": row for path, row in wanted.items()}


def of_a_mac() -> Reading:
    paths = numbered("pictures/a", "pictures/b", photos=6)
    with zipfile.ZipFile("photos.zip", "w") as file:
        for number, path in enumerate([*paths, "pictures/.DS_Store", "pictures/readme.txt"]):
            file.writestr(path, jpeg(number))
            file.writestr(f"__MACOSX/{path.replace('/', '/._')}", b"x")
        file.writestr("pictures/landmarks.csv", "landmark_id,name\na,Tower\n")
    return {path: (path.split("/")[1], "*") for path in paths}


def old_store() -> Reading:
    tree(Path("before"), [*numbered("a", "b", photos=9), *numbered("c", photos=2)])
    built(Path("before"), Path("old-store"))
    return {path: (path[0], "*") for path in numbered("a", "b", photos=9)}


#: The beginning of a row of the page's table -> what puts its photos there.
TREES: dict[str, Callable[[], Reading]] = {
    "split folders, as for": folders(
        *of_splits("{split}/{name}", "train", "val", "test"), label=1, split=0
    ),
    "split folders, split again": folders(*of_splits("{split}/{name}", "train", "val"), label=1),
    "ImageNet": folders(*of_splits("{split}/n0_{name}", "train", "val"), label=1, split=0),
    "`train/` and `test/` only": folders(*of_splits("{split}/{name}", "train", "test"), label=1),
    "splits below the classes": folders(
        *of_splits("{name}/{split}", "train", "val", "test"), label=0, split=1
    ),
    "all of it in one more": folders(
        *of_splits("data/{split}/{name}", "train", "val", "test"), label=2, split=1
    ),
    "one folder per class": folders("cat", "dog", label=0),
    "nested folders:": nested(lambda path: path.split("/")[2]),
    "nested folders, by the outermost": nested(lambda path: path.split("/")[0]),
    "nested folders, by a level": nested(lambda path: path.split("/")[1]),
    "nested folders, by the whole": nested(lambda path: path.rpartition("/")[0]),
    "a flat folder": flat("photos", "photos.csv", "filename,label", "{n}.jpg,{name}"),
    "a folder and a table": flat("photos", "lists/t.csv", "filename,label", "{n}.jpg,{name}"),
    "a table with other": flat("images", "t.csv", "img,species", "{n}.jpg,{name}"),
    "a table whose photos": flat("disk/photos", "t.csv", "path,label", "{n}.jpg,{name}"),
    "a table with a column": flat("p", "t.csv", "path,label,split", "p/{n}.jpg,{name},{split}"),
    "a table with splits": flat("p", "t.csv", "path,label,fold", "p/{n}.jpg,{name},{split}"),
    "a table for each split": split_tables,
    "JSON lines": json_lines,
    "Hugging Face image folder": image_folder,
    "Hugging Face parquet": hub,
    "one such file": lambda: hub_file(Path("train-00000-of-00001.parquet"), 8),
    "Kaggle's Landmark": competition,
    "Kaggle's zip": competition_zip,
    "Google": google,
    "a zip of": of_a_mac,
    "a store": old_store,
}
