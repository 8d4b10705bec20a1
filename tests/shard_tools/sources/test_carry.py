"""Columns of a label file that are carried into the store, from every layout that has one."""

from __future__ import annotations

import csv
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from shard_tools.errors import StoreError
from shard_tools.sources import SourceOptions, read_source
from shard_tools.sources.labels import find_label_file
from shard_tools.store import Store
from tests.helpers.photos import add_photo, built, jpeg, kaggle
from tests.helpers.sources import tars


def with_years(root: Path, sizes: dict[str, int]) -> dict[str, int]:
    """A Kaggle source whose label file has two more columns; returns id -> year."""
    labels = kaggle(root, sizes)
    years = {name: 1990 + place for place, name in enumerate(labels)}
    with open(root / "train.csv", "w") as file:
        rows = csv.writer(file)
        rows.writerow(["id", "capture_year", "landmark_id", "camera"])
        rows.writerows([name, years[name], mark, f"no {mark}"] for name, mark in labels.items())
    return years


def years_in(store: Path) -> dict[str, int]:
    table = Store.open(store).samples(["key", "capture_year"])
    assert table.schema.field("capture_year").type == pa.int64()
    return dict(zip(*(column.to_pylist() for column in table.columns), strict=True))


def test_a_column_goes_with_its_photo(tmp_path: Path) -> None:
    years = with_years(tmp_path / "p", {"1": 9, "2": 5, "3": 2})
    reading = SourceOptions(carry=("capture_year", "camera"))
    store = built(tmp_path / "p", tmp_path / "s", shard_size=4, reading=reading, min_images=3)
    kept = {name: year for name, year in years.items() if year < 1990 + 14}
    assert years_in(store) == kept
    table = Store.open(store).samples(["landmark_id", "camera"])
    marks = table["landmark_id"].cast(pa.string()).to_pylist()
    assert table["camera"].to_pylist() == [f"no {mark}" for mark in marks]
    assert Store.open(store).manifest.options["carry"] == ["capture_year", "camera"]

    again = SourceOptions(carry=("capture_year",))
    assert years_in(built(store, tmp_path / "t", reading=again, seed=7)) == kept


def test_nothing_is_carried_unasked(tmp_path: Path) -> None:
    with_years(tmp_path / "p", {"1": 3})
    store = Store.open(built(tmp_path / "p", tmp_path / "s"))
    assert "capture_year" not in pq.read_schema(store.path / "samples.parquet").names
    assert "carry" not in store.manifest.options


def test_of_tables(tmp_path: Path) -> None:
    add_photo(tmp_path, "aaa", jpeg(0))
    add_photo(tmp_path, "bbb", jpeg(1))
    paths = sorted(str(path) for path in tmp_path.rglob("*.jpg"))
    table = pa.table({"path": paths, "label": ["x", "y"], "capture_year": [1, 2], "other": [0, 0]})
    pq.write_table(table, tmp_path / "t.parquet")
    with open(tmp_path / "t.csv", "w") as file:
        file.write("capture_year,path,label\n")
        file.writelines(f"{1 + place},{path},x\n" for place, path in enumerate(paths))
    for name in ("t.parquet", "t.csv"):
        records = read_source(tmp_path / name, SourceOptions(carry=("capture_year",)))
        assert records.carried is not None
        assert records.carried.to_pylist() == [{"capture_year": 1}, {"capture_year": 2}]


def test_taking_photos_takes_their_columns(tmp_path: Path) -> None:
    years = with_years(tmp_path, {"1": 6})
    records = read_source(tmp_path, SourceOptions(carry=("capture_year",))).take(np.array([4, 1]))
    assert records.carried is not None
    carried = records.carried["capture_year"].to_pylist()
    assert carried == [years[key] for key in records.photos["key"].to_pylist()]


@pytest.mark.parametrize(
    ("carry", "message"),
    [
        (("label",), "--carry label: every store has a column of that name"),
        (("x", "x"), "named twice"),
        (("year",), "no column year; it has id, capture_year, landmark_id, camera"),
    ],
)
def test_columns_that_cannot_be_carried(
    carry: tuple[str, ...], message: str, tmp_path: Path
) -> None:
    with_years(tmp_path, {"1": 2})
    with pytest.raises(StoreError, match=message):
        read_source(tmp_path, SourceOptions(carry=carry))


def test_class_folders_have_no_columns(tmp_path: Path) -> None:
    (tmp_path / "tower").mkdir()
    (tmp_path / "tower" / "a.jpg").write_bytes(jpeg(0))
    with pytest.raises(StoreError, match=r"--carry year: .* one folder per class"):
        read_source(tmp_path, SourceOptions(carry=("year",)))


def test_one_rule_says_which_label_file_counts(tmp_path: Path) -> None:
    kaggle(tmp_path / "p", {"1": 3})
    assert find_label_file(tmp_path) is None
    for folder in ("p", "t"):
        (tmp_path / folder).mkdir(exist_ok=True)
        (tmp_path / folder / "train.csv").write_text("id,landmark_id\n")
        (tmp_path / folder / "train_clean.csv").write_text("landmark_id,images\n")
    tars(tmp_path / "p", tmp_path / "t")
    assert find_label_file(tmp_path / "p") == tmp_path / "p" / "train.csv"
    assert find_label_file(tmp_path / "t") == tmp_path / "t" / "train_clean.csv"
    (tmp_path / "p" / "train.csv").unlink()
    assert find_label_file(tmp_path / "p") == tmp_path / "p" / "train_clean.csv"
