"""Tables as spreadsheets, scripts and Windows write them."""

from __future__ import annotations

import json
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from shard_tools.errors import StoreError
from shard_tools.report import collect
from shard_tools.report.survey import take_survey
from shard_tools.sources import Records, SourceOptions, read_source
from shard_tools.sources.look import doubts
from shard_tools.store import SPLITS
from tests.helpers.photos import jpeg, kaggle
from tests.helpers.trees import numbered, tree


def labels(records: Records) -> dict[str, str]:
    ids = records.classes["landmark_id"].to_pylist()
    paths = records.photos["path"].to_pylist()
    return {path: ids[label] for path, label in zip(paths, records.labels, strict=True)}


def splits(records: Records) -> list[str]:
    assert records.given is not None
    return [SPLITS[place] if place >= 0 else "" for place in records.given.tolist()]


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16"])
@pytest.mark.parametrize("suffix", [".csv", ".tsv"])
@pytest.mark.parametrize("mark", [",", ";", "\t"])
def test_separators_and_encodings(tmp_path: Path, mark: str, suffix: str, encoding: str) -> None:
    tree(tmp_path, numbered("images"), b"x")
    rows = [f"{n}.jpg{mark}{'äb'[n % 2]}" for n in range(4)]
    table = tmp_path / f"t{suffix}"
    table.write_text("\r\n".join([f" Filename{mark} label", *rows]) + "\r\n", encoding)
    assert labels(read_source(table)) == {f"{n}.jpg": "äb"[n % 2] for n in range(4)}


def test_paths_of_windows(tmp_path: Path) -> None:
    tree(tmp_path, numbered("images/cat", "images/dog"), b"x")
    rows = [f"images\\{name}\\{n}.jpg,{name}" for name in ("cat", "dog") for n in range(4)]
    (tmp_path / "t.csv").write_text("\n".join(["path,label", *rows]) + "\n")
    found = labels(read_source(tmp_path / "t.csv"))
    assert found == {path: path.split("/")[1] for path in numbered("images/cat", "images/dog")}


def test_a_backslash_in_a_name_is_left_alone(tmp_path: Path) -> None:
    tree(tmp_path, ["a\\1.jpg", "b\\2.jpg"], b"x")
    (tmp_path / "t.csv").write_text("path,label\na\\1.jpg,x\nb\\2.jpg,y\n")
    assert labels(read_source(tmp_path / "t.csv")) == {"a\\1.jpg": "x", "b\\2.jpg": "y"}


def test_the_folder_with_most_of_the_photos_is_taken(tmp_path: Path) -> None:
    tree(tmp_path, ["0.jpg", *numbered("images")], b"x")
    (tmp_path / "t.csv").write_text("path,label\n" + "".join(f"{n}.jpg,{n}\n" for n in range(4)))
    reader = read_source(tmp_path / "t.csv").reader
    assert getattr(reader, "root", None) == str(tmp_path / "images")


@pytest.mark.parametrize("first", ["C:\\Users\\me\\1.jpg", "/home/somebody/1.jpg"])
def test_paths_of_another_machine(tmp_path: Path, first: str) -> None:
    (tmp_path / "t.csv").write_text(f"path,label\n{first},a\n")
    with pytest.raises(StoreError, match="make them relative"):
        read_source(tmp_path / "t.csv")


@pytest.mark.parametrize(
    ("train", "test"), [("train", "test"), ("images/Train", "images/Test"), ("train_x", "test_x")]
)
def test_splits_in_the_paths_of_a_table(tmp_path: Path, train: str, test: str) -> None:
    paths = numbered(train, test)
    tree(tmp_path, paths, b"x")
    rows = [f"{path},{'ab'[n % 2]}" for n, path in enumerate(paths)]
    (tmp_path / "metadata.csv").write_text("\n".join(["file_name,label", *rows]) + "\n")
    for source in (tmp_path, tmp_path / "metadata.csv"):
        assert splits(read_source(source)) == ["train"] * 4 + ["test"] * 4


def test_folders_in_paths_that_are_no_splits(tmp_path: Path) -> None:
    paths = [*numbered("train", "test"), "other/1.jpg"]
    tree(tmp_path, paths, b"x")
    (tmp_path / "t.csv").write_text("path,label\n" + "".join(f"{path},a\n" for path in paths))
    assert read_source(tmp_path / "t.csv").given is None


@pytest.mark.parametrize("suffix", [".csv", ".jsonl"])
def test_a_table_for_each_split(tmp_path: Path, suffix: str) -> None:
    tree(tmp_path, numbered("images", photos=9), b"x")
    for place, name in enumerate(("train", "valid", "test")):
        rows = [(f"{n}.jpg", "ab"[n % 2]) for n in range(3 * place, 3 * place + 3)]
        text = "path,label\n" + "".join(f"{path},{mark}\n" for path, mark in rows)
        if suffix == ".jsonl":
            text = "".join(json.dumps({"path": p, "label": m}) + "\n" for p, m in rows)
        (tmp_path / f"{name}{suffix}").write_text(text)
    records = read_source(tmp_path)
    assert records.kind == "splittables"
    assert labels(records) == {f"{n}.jpg": "ab"[n % 2] for n in range(9)}
    assert splits(records) == ["train"] * 3 + ["val"] * 3 + ["test"] * 3
    alone = read_source(tmp_path / f"train{suffix}")
    assert (len(alone.photos), alone.given) == (3, None)


@pytest.mark.parametrize("where", ["photos", "."])
def test_a_folder_and_its_labels(tmp_path: Path, where: str) -> None:
    tree(tmp_path / where, [f"{n}.jpg" for n in range(4)], b"x")
    (tmp_path / "who.csv").write_text(
        "id,breed\n" + "".join(f"{n},{'ab'[n % 2]}\n" for n in range(4))
    )
    options = SourceOptions(labels=tmp_path / "who.csv", columns=(("label", "breed"),))
    assert labels(read_source(tmp_path / where, options)) == {
        f"{n}.jpg": "ab"[n % 2] for n in range(4)
    }
    assert collect(tmp_path / where, options)["photos"] == 4


def test_a_split_column_that_was_named_must_say_splits(tmp_path: Path) -> None:
    tree(tmp_path, ["1.jpg", "2.jpg"], b"x")
    (tmp_path / "t.csv").write_text("path,label,fold,split\n1.jpg,a,1,x\n2.jpg,b,2,y\n")
    assert read_source(tmp_path / "t.csv").given is None
    with pytest.raises(StoreError, match="its column fold says '1', '2'"):
        read_source(tmp_path / "t.csv", SourceOptions(columns=(("split", "fold"),)))


def test_what_stats_leaves_out_of_a_competition_folder(tmp_path: Path) -> None:
    kaggle(tmp_path, {"1": 3, "2": 3})
    next((tmp_path / "train").rglob("*.jpg")).unlink()
    (tmp_path / "train" / "0" / "stray.jpg").write_bytes(b"x")
    figures = collect(tmp_path)
    assert (figures["photos"], figures["kind"]) == (5, "source")
    assert figures["skipped"] == {"no file": 1, "not in train.csv": 1}
    assert collect(tmp_path / "train.csv")["photos"] == 6


def test_labels_in_the_metadata_folder(tmp_path: Path) -> None:
    wanted = kaggle(tmp_path, {"1": 3, "2": 3})
    (tmp_path / "metadata").mkdir()
    (tmp_path / "train.csv").rename(tmp_path / "metadata" / "train.csv")
    (tmp_path / "metadata" / "landmarks.csv").write_text("landmark_id,name\n1,Tower\n")
    records = read_source(tmp_path)
    assert (records.kind, len(records.photos)) == ("kaggle", len(wanted))
    assert records.classes["name"].to_pylist() == ["Tower", None]


def hub(file: Path, column: str, values: list, **more: list) -> None:
    """A parquet file as Hugging Face has it, with a ClassLabel."""
    file.parent.mkdir(parents=True, exist_ok=True)
    names = {"info": {"features": {column: {"names": ["ash", "oak"], "_type": "ClassLabel"}}}}
    images = [{"bytes": jpeg(n), "path": f"{n}.jpg"} for n in range(len(values))]
    table = pa.table({"image": images, column: values, **more})
    pq.write_table(table.replace_schema_metadata({"huggingface": json.dumps(names)}), file)


def test_folders_of_the_hub(tmp_path: Path) -> None:
    hub(tmp_path / "default" / "train" / "0000.parquet", "breed", [0, 1, 1], year=[1, 2, 3])
    hub(tmp_path / "default" / "test" / "0000.parquet", "breed", [1, 0], year=[1, 2])
    records = read_source(tmp_path)
    assert sorted(zip(splits(records), labels(records).values(), strict=True)) == [
        *(("test", "ash"), ("test", "oak")),
        *(("train", "ash"), ("train", "oak"), ("train", "oak")),
    ]
    hub(tmp_path / "other" / "train" / "0000.parquet", "breed", [0])
    with pytest.raises(StoreError, match=r"several folders .default, other.; give one of them"):
        read_source(tmp_path)


def test_rows_without_a_label_are_left_out(tmp_path: Path) -> None:
    hub(tmp_path / "x.parquet", "label", [0, -1, None, 7, 1])
    for source in (tmp_path, tmp_path / "x.parquet"):
        records = read_source(source)
        assert list(labels(records).values()) == ["ash", "oak"]
        assert records.rejected["reason"].to_pylist() == ["no label"] * 3


def test_predictions_are_not_labels(tmp_path: Path) -> None:
    """``glr-predict holiday --out holiday.csv`` writes beside the photos, where labels may lie."""
    tree(tmp_path / "holiday", [f"{name}/{n}.jpg" for name in ("a", "b") for n in range(4)])
    head = "path,label,landmark_id,name,probability,unsure,label1,landmark_id1,name1,probability1"
    rows = [f"a/{n}.jpg,0,x,X,0.9,false,0,x,X,0.9" for n in range(4)]
    table = tmp_path / "holiday.csv"
    table.write_text("\n".join([head, *rows]) + "\n")
    records = read_source(tmp_path / "holiday")
    assert records.classes["landmark_id"].to_pylist() == ["a", "b"]
    assert not [doubt for doubt in doubts(tmp_path / "holiday", records) if "table" in doubt]
    with pytest.raises(StoreError, match="holds predictions of glr-predict, not labels"):
        read_source(table, SourceOptions(root=tmp_path / "holiday"))
    named = SourceOptions(
        root=tmp_path / "holiday", columns=(("path", "path"), ("label", "landmark_id"))
    )
    assert read_source(table, named).classes["landmark_id"].to_pylist() == ["x"]


def test_a_report_on_a_table_whose_photos_are_elsewhere(tmp_path: Path) -> None:
    tree(tmp_path / "disk", [f"{n}.jpg" for n in range(4)])
    table = tmp_path / "lists" / "t.csv"
    table.parent.mkdir()
    table.write_text("path,label\n" + "".join(f"{n}.jpg,{'ab'[n % 2]}\n" for n in range(4)))
    survey = take_survey(table, 4, options=SourceOptions(root=tmp_path / "disk"))
    assert survey.counts.total.tolist() == [2, 2]


def test_a_store_that_is_not_finished_is_no_source(tmp_path: Path) -> None:
    (tmp_path / ".building").mkdir()
    with pytest.raises(StoreError, match="a store that is not finished; run the command of its b"):
        read_source(tmp_path)
