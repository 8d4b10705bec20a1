"""Photo collections as people have them: each comes out right, or is refused with advice."""

from __future__ import annotations

import json
import unicodedata
import zipfile
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from shard_tools.errors import StoreError
from shard_tools.sources import Records, SourceOptions, read_source
from shard_tools.sources.look import describe, doubts, reasons
from shard_tools.store import SPLITS
from tests.helpers.photos import jpeg, kaggle
from tests.helpers.records import unused
from tests.helpers.trees import numbered, tree


def labelled(records: Records) -> dict[str, str]:
    """Path -> landmark id."""
    ids = records.classes["landmark_id"].to_pylist()
    paths = records.photos["path"].to_pylist()
    return {path: ids[label] for path, label in zip(paths, records.labels, strict=True)}


def split(records: Records) -> dict[str, str]:
    """Path -> split that the source gives."""
    assert records.given is not None
    paths = records.photos["path"].to_pylist()
    return {p: SPLITS[s] if s >= 0 else "" for p, s in zip(paths, records.given, strict=True)}


@pytest.mark.parametrize(
    ("folders", "splits"),
    [
        (("train", "val", "test"), ("train", "val", "test")),
        (("Training", "Validation", "Testing"), ("train", "val", "test")),
        (("TRAIN", "valid"), ("train", "val")),
        (("train", "test"), ("train", "test")),
    ],
)
def test_split_folders(tmp_path: Path, folders: tuple[str, ...], splits: tuple[str, ...]) -> None:
    paths = numbered(*(f"{folder}/{name}" for folder in folders for name in ("cat", "dog")))
    records = read_source(tree(tmp_path, paths))
    assert labelled(records) == {path: path.split("/")[1] for path in paths}
    of_folder = dict(zip(folders, splits, strict=True))
    assert split(records) == {path: of_folder[path.split("/")[0]] for path in paths}


def test_split_folders_in_a_zip(tmp_path: Path) -> None:
    paths = numbered("data/train/cat", "data/train/dog", "data/test/cat", "data/test/dog")
    tree(tmp_path / "t", [*paths, "data/README.md"])
    with zipfile.ZipFile(tmp_path / "x.zip", "w") as file:
        for path in [*paths, "data/README.md"]:
            file.write(tmp_path / "t" / path, path)
    records = read_source(tmp_path / "x.zip")
    assert records.classes["landmark_id"].to_pylist() == ["cat", "dog"]
    assert set(split(records).values()) == {"train", "test"}


def test_splits_below_a_folder_or_below_the_classes(tmp_path: Path) -> None:
    paths = numbered(*(f"images/{part}/{name}" for part in ("train", "test") for name in "ab"))
    records = read_source(tree(tmp_path / "p", paths))
    assert labelled(records) == {path: path.split("/")[2] for path in paths}
    assert split(records) == {path: path.split("/")[1] for path in paths}
    paths = numbered(*(f"{name}/{part}" for part in ("train", "test") for name in "ab"))
    records = read_source(tree(tmp_path / "q", paths))
    assert labelled(records) == {path: path.split("/")[0] for path in paths}
    assert split(records) == {path: path.split("/")[1] for path in paths}


def test_a_lone_train_folder_is_no_class_and_no_split(tmp_path: Path) -> None:
    records = read_source(tree(tmp_path, numbered("train/cat", "train/dog")))
    assert records.classes["landmark_id"].to_pylist() == ["cat", "dog"]
    assert records.given is None


def test_splits_beside_something_else_are_refused(tmp_path: Path) -> None:
    tree(tmp_path, numbered("train/cat", "test/cat", "extra/cat"))
    with pytest.raises(StoreError, match="test, train look like splits, but extra beside them"):
        read_source(tmp_path)


def test_splits_without_class_folders_are_refused(tmp_path: Path) -> None:
    tree(tmp_path, numbered("train", "test"))
    with pytest.raises(StoreError, match="there are no class folders in them"):
        read_source(tmp_path)


GROCERIES = numbered("Fruit/Apple/Golden", "Fruit/Apple/Pink", "Fruit/Pear", "Veg/Leek")


@pytest.mark.parametrize(
    ("which", "classes"),
    [
        (None, ["Golden", "Leek", "Pear", "Pink"]),
        ("leaf", ["Golden", "Leek", "Pear", "Pink"]),
        ("top", ["Fruit", "Veg"]),
        ("path", ["Fruit/Apple/Golden", "Fruit/Apple/Pink", "Fruit/Pear", "Veg/Leek"]),
        ("1", ["Fruit", "Veg"]),
        ("2", ["Apple", "Leek", "Pear"]),
    ],
)
def test_nested_class_folders(tmp_path: Path, which: str | None, classes: list[str]) -> None:
    records = read_source(tree(tmp_path, GROCERIES), SourceOptions(classes=which))
    assert records.classes["landmark_id"].to_pylist() == classes
    assert "level 3   2 folders: Golden, Pink" in describe(records)


TRIPS = [
    *numbered("2019/Rome/Phone", "2019/Paris/Phone", "2021/Rome/Camera", "2021/Rome/Phone"),
    "2021/Rome/stray.jpg",
    "2021/beach.jpg",
]


def test_a_level_is_the_class(tmp_path: Path) -> None:
    """Places within trips, whoever took the photos; none is in no place."""
    records = read_source(tree(tmp_path, TRIPS), SourceOptions(classes="2"))
    assert records.classes["landmark_id"].to_pylist() == ["Paris", "Rome"]
    assert reasons(records) == {"not in a class folder": 1}
    with pytest.raises(StoreError, match=r"a level \(1: 2019, 2021; 2: Paris, Rome; 3: Camera, Ph"):
        read_source(tmp_path)
    with pytest.raises(StoreError, match=r"--classes 4: .* has 3 levels of folders; give 1 to 3"):
        read_source(tmp_path, SourceOptions(classes="4"))


def test_levels_count_as_the_dry_run_does_below_splits_and_in_a_zip(tmp_path: Path) -> None:
    names = numbered("train/2019/Rome/a", "train/2021/Oslo/b", "test/2019/Rome/a")
    records = read_source(tree(tmp_path / "photos", names), SourceOptions(classes="3"))
    assert records.classes["landmark_id"].to_pylist() == ["Oslo", "Rome"]
    assert records.given is not None
    assert "level 3   2 folders: Oslo, Rome" in describe(records)
    with zipfile.ZipFile(tmp_path / "x.zip", "w") as file:
        for number, name in enumerate(numbered("all/2019/Rome/a", "all/2021/Rome/b")):
            file.writestr(name, jpeg(number))
    records = read_source(tmp_path / "x.zip", SourceOptions(classes="3"))
    assert records.classes["landmark_id"].to_pylist() == ["Rome"]


def test_photos_on_several_levels_are_refused(tmp_path: Path) -> None:
    tree(tmp_path, [*numbered("Fruit/Apple", "Veg"), "Fruit/stray.jpg"])
    with pytest.raises(StoreError, match=r"5 photos at level 1, 4 photos at level 2.*: Fruit hold"):
        read_source(tmp_path)


def test_leaves_of_one_name_are_refused(tmp_path: Path) -> None:
    tree(tmp_path, numbered("Fruit/Red", "Veg/Red"))
    with pytest.raises(StoreError, match=r"share a name: Red; give --classes top .* path"):
        read_source(tmp_path)
    assert len(read_source(tmp_path, SourceOptions(classes="path")).classes) == 2


def test_a_zip_of_a_finder(tmp_path: Path) -> None:
    names = [*numbered("dataset/a", "dataset/b"), "dataset/.DS_Store", "dataset/readme.txt"]
    with zipfile.ZipFile(tmp_path / "x.zip", "w") as file:
        for number, name in enumerate(names):
            file.writestr(name, jpeg(number) if name.endswith("jpg") else b"x")
            file.writestr(f"__MACOSX/{Path(name).parent}/._{Path(name).name}", b"x")
        file.writestr("dataset/landmarks.csv", "landmark_id,name\na,Tower\n")
    records = read_source(tmp_path / "x.zip")
    assert records.classes.to_pylist() == [
        {"landmark_id": "a", "name": "Tower"},
        {"landmark_id": "b", "name": None},
    ]
    assert len(records.photos) == 8
    assert doubts(tmp_path / "x.zip", records) == []


def test_two_spellings_of_a_class_are_one(tmp_path: Path) -> None:
    spellings = [unicodedata.normalize(form, "Château") for form in ("NFC", "NFD")]
    assert spellings[0] != spellings[1]
    records = read_source(tree(tmp_path, numbered(*spellings, "b")))
    assert records.classes["landmark_id"].to_pylist() == ["Château", "b"] or records.classes[
        "landmark_id"
    ].to_pylist() == ["b", "Château"]


def test_sidecars_do_not_push_photos_out(tmp_path: Path) -> None:
    labels = kaggle(tmp_path, {"1": 3, "2": 2})
    for photo in list((tmp_path / "train").rglob("*.jpg")):
        photo.with_suffix(".json").write_text("{}")
        photo.with_suffix(".txt").write_text("x")
    records = read_source(tmp_path)
    assert len(records.photos) == len(labels)
    assert {path[-4:] for path in records.photos["path"].to_pylist()} == {".jpg"}
    assert {reason for _, reason in unused(records)} == {"not a photo"}


def test_control_characters_make_no_class(tmp_path: Path) -> None:
    tree(tmp_path, [*numbered("a", "b"), "a/x\ny.jpg", "c\nd/1.jpg"])
    records = read_source(tmp_path)
    assert records.classes["landmark_id"].to_pylist() == ["a", "b"]
    assert [reason for _, reason in sorted(unused(records))] == [
        "control character in its path"
    ] * 2


def test_an_unrelated_landmarks_file_is_ignored(tmp_path: Path) -> None:
    tree(tmp_path, numbered("a", "b"))
    (tmp_path / "landmarks.csv").write_text("x,y\n1,2\n")
    assert read_source(tmp_path).classes["name"].to_pylist() == [None, None]


@pytest.mark.parametrize(
    ("header", "given"),
    [
        ("filename,label", None),
        ("image_id,class", None),
        ("Path,Category", None),
        ("img,species", (("path", "img"), ("label", "species"))),
    ],
)
def test_columns_of_tables(
    tmp_path: Path, header: str, given: tuple[tuple[str, str], ...] | None
) -> None:
    paths = numbered("photos", photos=6)
    tree(tmp_path, paths)
    bare = header.startswith("image_id")
    rows = [f"{n if bare else f'photos/{n}.jpg'},{'ab'[n % 2]}" for n in range(6)]
    (tmp_path / "t.csv").write_text("\n".join([header, *rows]) + "\n")
    records = read_source(tmp_path / "t.csv", SourceOptions(columns=given or ()))
    assert labelled(records) == {f"photos/{n}.jpg": "ab"[n % 2] for n in range(6)}


def test_a_root_and_a_column_of_splits(tmp_path: Path) -> None:
    tree(tmp_path / "elsewhere", [f"{n}.jpg" for n in range(4)])
    rows = [
        {"file": f"{n}.jpg", "label": n % 2, "split": ["train", "dev"][n // 2]} for n in range(4)
    ]
    table = tmp_path / "t.jsonl"
    table.write_text("".join(json.dumps(row) + "\n" for row in rows))
    with pytest.raises(StoreError, match=r"none of 4 of its paths is there.*--root"):
        read_source(table)
    records = read_source(table, SourceOptions(root=tmp_path / "elsewhere"))
    assert sorted(split(records).values()) == ["train", "train", "val", "val"]
    assert records.classes["landmark_id"].to_pylist() == ["0", "1"]


def test_an_unknown_split_is_refused(tmp_path: Path) -> None:
    tree(tmp_path, ["1.jpg", "2.jpg"])
    (tmp_path / "t.csv").write_text("path,label,split\n1.jpg,a,train\n2.jpg,b,holdout\n")
    with pytest.raises(StoreError, match="column split says 'holdout'"):
        read_source(tmp_path / "t.csv")


def test_a_label_file_with_splits(tmp_path: Path) -> None:
    labels = kaggle(tmp_path, {"1": 3, "2": 3})
    rows = [
        f"{i},{mark},{'test' if n % 3 == 0 else 'train'}"
        for n, (i, mark) in enumerate(labels.items())
    ]
    (tmp_path / "train.csv").write_text("\n".join(["id,landmark_id,split", *rows]) + "\n")
    assert sorted(split(read_source(tmp_path)).values()) == ["test"] * 2 + ["train"] * 4


def test_image_folders_of_hugging_face(tmp_path: Path) -> None:
    for part in ("train", "test"):
        tree(tmp_path / part, [f"{n}.jpg" for n in range(4)])
        rows = "".join(f"{n}.jpg,{'xy'[n % 2]}\n" for n in range(4))
        (tmp_path / part / "metadata.csv").write_text(f"file_name,label\n{rows}")
    records = read_source(tmp_path)
    assert records.kind == "imagefolder"
    assert labelled(records)["test/1.jpg"] == "y"
    assert split(records)["test/1.jpg"] == "test"
    assert len(records.photos) == 8


def test_parquet_files_of_hugging_face(tmp_path: Path) -> None:
    features = {"info": {"features": {"label": {"names": ["ash", "oak"], "_type": "ClassLabel"}}}}
    for part, count in (("train", 5), ("test", 3)):
        images = [{"bytes": jpeg(n), "path": f"{n}.jpg"} for n in range(count)]
        table = pa.table({"image": images, "label": [n % 2 for n in range(count)]})
        table = table.replace_schema_metadata({"huggingface": json.dumps(features)})
        pq.write_table(table, tmp_path / f"{part}-00000-of-00001.parquet", row_group_size=2)
    records = read_source(tmp_path)
    assert records.kind == "hfparquet"
    assert records.classes["landmark_id"].to_pylist() == ["ash", "oak"]
    assert sorted(split(records).values()) == ["test"] * 3 + ["train"] * 5
    reader = records.reader.of(records.photos)
    data = {path: reader.read(path) for path in records.photos["path"].to_pylist()}
    assert data["train-00000-of-00001-00000003.jpg"] == jpeg(3)


def test_most_photos_without_a_label_is_a_doubt(tmp_path: Path) -> None:
    labels = kaggle(tmp_path, {"1": 8, "2": 2})
    few = list(labels.items())[:1] + list(labels.items())[-1:]
    text = "".join(f"{i},{mark}\n" for i, mark in few)
    (tmp_path / "train.csv").write_text(f"id,landmark_id\n{text}")
    assert "most photos have no label: 8" in doubts(tmp_path, read_source(tmp_path))[0]
