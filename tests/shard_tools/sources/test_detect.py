"""Sources to photo tables: both layouts, and everything that is odd in them."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import pytest

from shard_tools.errors import StoreError
from shard_tools.sources import SourceOptions, read_source
from tests.helpers.photos import add_photo, kaggle, write_labels
from tests.helpers.records import by_key, unused


def test_kaggle(tmp_path: Path) -> None:
    labels = kaggle(tmp_path, {"100": 3, "20": 2})
    records = read_source(tmp_path)
    assert records.kind == "kaggle"
    assert by_key(records) == labels
    assert records.classes["landmark_id"].to_pylist() == ["20", "100"]
    assert not len(records.rejected)
    for key, path in zip(*(column.to_pylist() for column in records.photos.columns), strict=True):
        assert path.endswith(f"/{key}.jpg")
        assert records.reader.read(path)


def test_kaggle_with_everything_odd(tmp_path: Path) -> None:
    labels = kaggle(tmp_path, {"1": 3, "2": 2})
    names = list(labels)
    add_photo(tmp_path, "aaaa", b"")
    (tmp_path / "train" / "0").mkdir(exist_ok=True)
    (tmp_path / "train" / "0" / f"{names[1]}.png").write_bytes(b"again")
    rows = [*labels.items(), ("bbbb", "1"), (names[0], "1"), (names[3], "1"), (names[4], "")]
    lines = [f"{key},{landmark}" for key, landmark in rows]
    (tmp_path / "train.csv").write_text("\n".join(["id,landmark_id", *lines, ",7"]) + "\n")
    records = read_source(tmp_path)
    assert by_key(records) == {key: labels[key] for key in (*names[:3], names[4])}
    assert unused(records) == {
        ("aaaa", "not in train.csv"),
        ("bbbb", "no file"),
        (names[0], "repeated in train.csv"),
        (names[1], "second file of an id"),
        (names[3], "conflicting labels in train.csv"),
        (names[4], "no id or landmark_id in train.csv"),
        ("", "no id or landmark_id in train.csv"),
    }
    counts = Counter(row["reason"] for row in records.rejected.to_pylist())
    assert counts["conflicting labels in train.csv"] == 2
    assert records.classes["landmark_id"].to_pylist() == ["1", "2"]


def test_a_class_without_any_file_is_no_class(tmp_path: Path) -> None:
    labels = kaggle(tmp_path, {"1": 2})
    write_labels(tmp_path, labels | {"cccc": "5"})
    assert read_source(tmp_path).classes["landmark_id"].to_pylist() == ["1"]


def test_folders(tmp_path: Path) -> None:
    for path in (
        "cat/1.jpg",
        "cat/deep/2.PNG",
        "dog/1.jpg",
        "dog/notes.txt",
        "stray.jpg",
        "README",
    ):
        (tmp_path / path).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / path).write_bytes(b"x")
    with pytest.raises(
        StoreError, match=r"2 photos at level 1, 1 photos at level 2.*--classes top"
    ):
        read_source(tmp_path)
    records = read_source(tmp_path, SourceOptions(classes="top"))
    assert records.kind == "folders"
    assert records.classes["landmark_id"].to_pylist() == ["cat", "dog"]
    paths = dict(zip(records.photos["path"].to_pylist(), records.labels.tolist(), strict=True))
    assert paths == {"cat/1.jpg": 0, "cat/deep/2.PNG": 0, "dog/1.jpg": 1}
    assert unused(records) == {("stray", "not in a class folder"), ("notes", "not a photo")}


def test_layout_can_be_forced(tmp_path: Path) -> None:
    kaggle(tmp_path, {"1": 2})
    assert read_source(tmp_path, SourceOptions("folders", classes="top")).classes[
        "landmark_id"
    ].to_pylist() == [
        "0",
        "1",
    ]


def test_names(tmp_path: Path) -> None:
    kaggle(tmp_path, {"1": 1, "2": 1})
    (tmp_path / "landmarks.csv").write_text("landmark_id,name\n2,Two\n")
    assert read_source(tmp_path).classes["name"].to_pylist() == [None, "Two"]


def test_real_photos(shared: Path) -> None:
    source = shared / "data" / "landmarks13"
    if not source.is_dir():
        pytest.skip(f"{source} is not here")
    records = read_source(source)
    assert len(records.photos) == 512
    assert len(records.classes) == 13
    assert records.classes["name"][0].as_py() == "alhambra palace"
    assert not len(records.rejected)


@pytest.mark.parametrize(
    ("files", "message"),
    [
        ({}, "no photo there: neither a train.csv"),
        ({"train.csv": "id,landmark_id\n"}, "train: missing"),
        ({"train.csv": "id,label\n", "train/a": ""}, "its columns are id, label; the Kaggle"),
        ({"train.csv": "id,landmark_id\nx,1\n", "train/y.jpg": ""}, "no photo there"),
        ({"cat/notes.txt": ""}, "no photo there"),
    ],
)
def test_sources_that_cannot_be_used(files: dict[str, str], message: str, tmp_path: Path) -> None:
    for name, text in files.items():
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text(text)
    with pytest.raises(StoreError, match=message):
        read_source(tmp_path)


def test_missing_source(tmp_path: Path) -> None:
    with pytest.raises(StoreError, match="no such folder"):
        read_source(tmp_path / "none")
    (tmp_path / "file").touch()
    with pytest.raises(StoreError, match="is a file"):
        read_source(tmp_path / "file")
