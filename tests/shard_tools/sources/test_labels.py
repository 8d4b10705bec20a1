"""Label files: columns, order of classes, names."""

from __future__ import annotations

from pathlib import Path

import pyarrow as pa
import pytest

from shard_tools.columns import read_csv
from shard_tools.errors import StoreError
from shard_tools.sources.labels import NameFile, category_name, class_table


def table(ids: list[str], folder: Path) -> tuple[list[str], list[str | None], list[int]]:
    classes, labels = class_table(pa.chunked_array([ids], pa.string()), NameFile.in_folder(folder))
    return classes["landmark_id"].to_pylist(), classes["name"].to_pylist(), labels.tolist()


@pytest.mark.parametrize(
    ("ids", "order"),
    [
        (["10", "9", "10", "100"], ["9", "10", "100"]),
        (["b", "10", "9"], ["10", "9", "b"]),
        (["01", "1", "0"], ["0", "01", "1"]),
        (["1" * 30, "2"], ["1" * 30, "2"]),  # too long for a number: by name
    ],
)
def test_order_of_classes(ids: list[str], order: list[str], tmp_path: Path) -> None:
    found, names, labels = table(ids, tmp_path)
    assert found == order
    assert [order[label] for label in labels] == ids
    assert names == [None] * len(order)


def test_names_from_landmarks(tmp_path: Path) -> None:
    (tmp_path / "landmarks.csv").write_text("landmark_id,name\n9,Köln\n8,\n7,Rom\n")
    assert table(["8", "9", "11"], tmp_path)[:2] == (["8", "9", "11"], [None, "Köln", None])


def test_names_from_categories(tmp_path: Path) -> None:
    (tmp_path / "train_label_to_category.csv").write_text(
        "landmark_id,category\n1,http://commons.wikimedia.org/wiki/Category:Sacr%C3%A9-C%C5%93ur_I\n"
    )
    assert table(["1"], tmp_path)[1] == ["Sacré-Cœur I"]


def test_category_without_a_prefix() -> None:
    assert category_name("Some_Place") == "Some Place"


def test_csv_strings_stay_strings(tmp_path: Path) -> None:
    file = tmp_path / "x.csv"
    file.write_text('\ufeffid,url,landmark_id\r\n 007 ,http://a,1e5\r\n"n,a",,NA\r\n')
    rows = read_csv(file, ("id", "landmark_id")).to_pylist()
    assert rows == [{"id": "007", "landmark_id": "1e5"}, {"id": "n,a", "landmark_id": "NA"}]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("id,label\n1,2\n", "no column landmark_id; it has id, label"),
        ("", "not a CSV file"),
        ("id,landmark_id\n1,2,3\n", "not a CSV file"),
    ],
)
def test_csv_that_cannot_be_used(text: str, message: str, tmp_path: Path) -> None:
    (tmp_path / "x.csv").write_text(text)
    with pytest.raises(StoreError, match=message) as caught:
        read_csv(tmp_path / "x.csv", ("id", "landmark_id"))
    assert "\n" not in str(caught.value)
