"""Every kind of source gives the same store as the Kaggle folder, and errors say what to do."""

from __future__ import annotations

import csv
import shutil
import zipfile
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from shard_tools.errors import StoreError
from shard_tools.sources import SourceOptions, detect_layout, read_source
from shard_tools.store.layout import SAMPLES, SAMPLES_SCHEMA
from shard_tools.store.store import Store
from tests.helpers.photos import add_photo, built, jpeg, kaggle
from tests.helpers.records import by_key, unused
from tests.helpers.sources import clean, tars, write_csv, zipped
from tests.helpers.stores import rejected
from tests.helpers.trees import numbered, tree

SIZES = {"5": 9, "40": 6, "300": 2}


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("kaggle")
    kaggle(root, SIZES)
    (root / "landmarks.csv").write_text("landmark_id,name\n5,Five\n")
    return root


@pytest.fixture(scope="module")
def labels(folder: Path) -> dict[str, str]:
    with open(folder / "train.csv") as file:
        return {row["id"]: row["landmark_id"] for row in csv.DictReader(file)}


@pytest.fixture(scope="module")
def store(folder: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return built(folder, tmp_path_factory.mktemp("out") / "store", shard_size=6)


def same_photos(one: Path, two: Path) -> bool:
    """Whether two stores hold the same shards, classes and samples, wherever those came from."""
    names = [sorted(path.name for path in out.glob("*.[itp]*")) for out in (one, two)]
    columns = [name for name in SAMPLES_SCHEMA.names if name != "path"]
    tables = [Store.open(out).samples(columns) for out in (one, two)]
    return (
        names[0] == names[1]
        and tables[0].equals(tables[1])
        and all(
            (one / name).read_bytes() == (two / name).read_bytes()
            for name in names[0]
            if name != SAMPLES
        )
    )


@pytest.mark.parametrize("workers", [1, 2])
@pytest.mark.parametrize("prefix", ["", "landmark-recognition-2020/"])
def test_kaggle_zip(folder: Path, store: Path, tmp_path: Path, prefix: str, workers: int) -> None:
    file = zipped(folder, tmp_path / "x.zip", prefix)
    assert detect_layout(file) == "kaggle"
    assert same_photos(built(file, tmp_path / "s", workers, shard_size=6), store)


def test_kaggle_zip_with_labels_beside(
    folder: Path, labels: dict[str, str], tmp_path: Path
) -> None:
    file = zipped(folder, tmp_path / "x.zip")
    few = dict(list(labels.items())[:4])
    clean(tmp_path, few)
    records = read_source(file, SourceOptions(labels=tmp_path / "train_clean.csv"))
    assert by_key(records) == few
    assert records.label_file == "train_clean.csv"
    assert len(records.rejected) == len(labels) - 4


def test_gldv2_tars(folder: Path, store: Path, labels: dict[str, str], tmp_path: Path) -> None:
    source = tars(folder, tmp_path / "t")
    (source / "train_label_to_category.csv").write_text("landmark_id,category\n5,x/Category:Five\n")
    assert detect_layout(source) == "gldv2"
    assert same_photos(built(source, tmp_path / "s", 2, shard_size=6), store)
    opened = Store.open(tmp_path / "s")
    assert opened.manifest.source["labels"] == "train.csv"
    assert opened.manifest.notes["ids_without_file"] == 0
    clean(source, dict(list(labels.items())[:5]))
    few = read_source(source)
    assert (few.label_file, len(few.photos)) == ("train_clean.csv", 5)
    assert few.notes == {"ids_without_file": 0, "files_without_id": 12}
    assert len(read_source(source, SourceOptions(labels=source / "train.csv")).photos) == 17
    shutil.move(source / "train_clean.csv", tmp_path / "m.csv")
    (source / "images_001.tar").unlink()
    some = read_source(source)
    assert some.notes["ids_without_file"] == 6
    assert not len(some.rejected)


def test_gldv2_as_in_the_bucket(folder: Path, tmp_path: Path) -> None:
    tars(folder, tmp_path / "t" / "train")
    (tmp_path / "t" / "metadata").mkdir()
    shutil.move(tmp_path / "t" / "train" / "train.csv", tmp_path / "t" / "metadata")
    assert len(read_source(tmp_path / "t").photos) == 17


def test_a_truncated_tar_is_named_and_the_rest_used(folder: Path, tmp_path: Path) -> None:
    source = tars(folder, tmp_path / "t")
    file = source / "images_001.tar"
    file.write_bytes(file.read_bytes()[:4000])
    out = built(source, tmp_path / "s")
    rows = rejected(out)
    assert [(row["path"], row["reason"]) for row in rows] == [("images_001.tar", "damaged tar")]
    assert "truncated in " in rows[0]["detail"]
    opened = Store.open(out)
    assert opened.manifest.counts["photos"] + opened.manifest.notes["ids_without_file"] == 17


@pytest.mark.parametrize("kind", ["csv", "parquet"])
@pytest.mark.parametrize("column", ["landmark_id", "label"])
def test_table(
    folder: Path, store: Path, labels: dict[str, str], tmp_path: Path, kind: str, column: str
) -> None:
    paths = sorted((folder / "train").rglob("*.jpg"))
    names = [str(p) if i % 2 else f"../photos/{p.name}" for i, p in enumerate(paths)]
    (tmp_path / "photos").mkdir()
    (tmp_path / "tables").mkdir()
    for path in paths:
        shutil.copy(path, tmp_path / "photos")
    file = tmp_path / "tables" / f"t.{kind}"
    (file.parent / "landmarks.csv").write_text("landmark_id,name\n5,Five\n")
    marks = [labels[path.stem] for path in paths]
    if kind == "csv":
        write_csv(file, f"{column},path", zip(marks, names, strict=True))
    else:
        pq.write_table(pa.table({column: [int(m) for m in marks], "path": names}), file)
    assert detect_layout(file) == "table"
    assert same_photos(built(file, tmp_path / "s", shard_size=6), store)


def test_table_with_everything_odd(tmp_path: Path) -> None:
    (tmp_path / "a.jpg").write_bytes(jpeg())
    rows = ["a.jpg 1", "a.jpg 1", "b.jpg 1", "b.jpg 2", " 3", "c.jpg 1"]
    write_csv(tmp_path / "t.csv", "path,label", [row.split(" ") for row in rows])
    out = built(tmp_path / "t.csv", tmp_path / "s")
    assert Store.open(out).samples()["key"].to_pylist() == ["a"]
    assert {(row["path"], row["reason"]) for row in rejected(out)} == {
        ("a.jpg", "repeated in t.csv"),
        ("b.jpg", "conflicting labels in t.csv"),
        ("", "no path or landmark_id in t.csv"),
        ("c.jpg", "cannot be read"),
    }


def test_store_again(store: Path, tmp_path: Path) -> None:
    assert detect_layout(store) == "store"
    assert same_photos(built(store, tmp_path / "same", 2, shard_size=6), store)
    small = Store.open(built(store, tmp_path / "small", resize_short=16, top_classes=2, seed=3))
    assert small.manifest.source["kind"] == "store"
    old = by_key(read_source(store))
    assert by_key(read_source(small.path)) == {i: mark for i, mark in old.items() if mark != "300"}
    assert set(small.samples()["height"].to_pylist()) == {16}


def test_store_whose_class_lost_all_its_photos(tmp_path: Path) -> None:
    labels = kaggle(tmp_path / "k", {"1": 5, "2": 1, "3": 4})
    add_photo(tmp_path / "k", next(i for i, m in labels.items() if m == "2"), b"no photo")
    first = built(tmp_path / "k", tmp_path / "one")
    records = read_source(first)
    assert records.classes["landmark_id"].to_pylist() == ["1", "3"]
    assert by_key(records) == {i: m for i, m in labels.items() if m != "2"}


def test_class_folders_in_a_zip(tmp_path: Path) -> None:
    for path in ("cat/1.jpg", "dog/1.jpg", "dog/2.jpg", "dog/x.txt", "__MACOSX/dog/1.jpg"):
        (tmp_path / "f" / path).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / "f" / path).write_bytes(jpeg())
    for prefix in ("", "animals/"):
        records = read_source(zipped(tmp_path / "f", tmp_path / f"{len(prefix)}.zip", prefix))
        assert (records.kind, records.labels.tolist()) == ("folders", [0, 1, 1])
        assert records.classes["landmark_id"].to_pylist() == ["cat", "dog"]
        assert unused(records) == {("x", "not a photo")}


def test_a_damaged_member_is_rejected(folder: Path, tmp_path: Path) -> None:
    file = zipped(folder, tmp_path / "x.zip", method=zipfile.ZIP_STORED)
    victim = next((folder / "train").rglob("*.jpg"))
    data = bytearray(file.read_bytes())
    data[data.index(victim.read_bytes()) + 30] ^= 255
    file.write_bytes(data)
    rows = rejected(built(file, tmp_path / "s"))
    assert [(row["key"], row["reason"]) for row in rows] == [(victim.stem, "damaged")]


def test_errors_say_what_to_do(folder: Path, store: Path, tmp_path: Path) -> None:
    def refused(message: str, source: Path, **options) -> None:
        with pytest.raises(StoreError, match=message) as caught:
            read_source(source, SourceOptions(**options))
        assert "\n" not in str(caught.value)

    (tmp_path / "x.tar").touch()
    refused("give the folder that holds the tars", tmp_path / "x.tar")
    zipped(folder / "train", tmp_path / "x.zip")
    (tmp_path / "x.tar").rename(tmp_path / "images_000.tar")
    refused("neither train_clean.csv nor train.csv beside them", tmp_path)
    (tmp_path / "images_000.tar").unlink()
    refused(r"give the zip itself: .*x\.zip", tmp_path)
    wrong = r"cannot have the layout gldv2; that of such a file is kaggle or folders"
    refused(wrong, tmp_path / "x.zip", layout="gldv2")
    refused(r"no train.csv in the zip; give --labels", tmp_path / "x.zip", layout="kaggle")
    write_csv(tmp_path / "t.csv", "where,label", [("a", "1")])
    refused("called like path; it has where, label; .*path=where", tmp_path / "t.csv")
    write_csv(tmp_path / "t.csv", "path,label", [("none/a.jpg", "1")])
    refused("none of 1 of its paths is there, such as none/a.jpg", tmp_path / "t.csv")
    refused("holds the labels itself", tmp_path / "t.csv", labels=tmp_path / "y.csv")
    (tmp_path / "t.parquet").write_bytes(b"PAR1")
    refused("not a parquet file", tmp_path / "t.parquet")
    shutil.copytree(store, tmp_path / "store")
    next((tmp_path / "store").glob("*.tar")).write_bytes(b"")
    refused("0 bytes, the manifest says .* glr-shard repair", tmp_path / "store")


def test_a_store_as_a_source_keeps_its_splits(tmp_path: Path) -> None:
    """Else photos that were tested on would be trained on."""
    folders = numbered(*(f"{split}/{name}" for split in ("train", "val", "test") for name in "ab"))
    first = built(tree(tmp_path / "photos", folders), tmp_path / "first", seed=3)
    again = built(first, tmp_path / "again")
    rows = Store.open(again).samples(["path", "split"]).to_pylist()
    assert rows
    assert all(row["path"].split("/")[0] == row["split"] for row in rows)
    other = built(first, tmp_path / "other", splits=(0.5, 0.25, 0.25))
    rows = Store.open(other).samples(["path", "split"]).to_pylist()
    assert any(row["path"].split("/")[0] != row["split"] for row in rows)
