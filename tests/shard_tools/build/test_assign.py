"""Splits of the source and splits by groups; the look before packing."""

from __future__ import annotations

import csv
import json
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from shard_tools.build import BuildOptions, preview
from shard_tools.build.assign import by_owner
from shard_tools.build.tables import Summary
from shard_tools.cli import main
from shard_tools.errors import StoreError
from shard_tools.sources import Records, SourceOptions, read_source
from shard_tools.sources.readers import FolderReader
from shard_tools.sources.records import REJECTED_SCHEMA
from shard_tools.sources.split_folders import alike_folders
from shard_tools.store import Store
from tests.helpers.commands import error_of
from tests.helpers.photos import add_photo, built, jpeg
from tests.helpers.trees import numbered, tree


def rows_of(store: Path, *columns: str) -> list[dict]:
    return Store.open(store).samples(["path", "split", "landmark_id", *columns]).to_pylist()


def test_given_splits_are_kept(tmp_path: Path) -> None:
    tree(tmp_path / "p", numbered(*(f"{s}/{c}" for s in ("train", "val", "test") for c in "ab")))
    store = built(tmp_path / "p", tmp_path / "s")
    assert {row["path"].split("/")[0]: row["split"] for row in rows_of(store)} == {
        "train": "train",
        "val": "val",
        "test": "test",
    }
    assert all(row["path"].split("/")[0] == row["split"] for row in rows_of(store))
    assert Store.open(store).manifest.options["splits"] == "given"
    again = built(tmp_path / "p", tmp_path / "t", splits=(0.5, 0.25, 0.25))
    assert any(row["path"].split("/")[0] != row["split"] for row in rows_of(again))
    assert "were not used" in Store.open(again).manifest.notes["splits"][0]


def test_a_missing_val_is_cut_from_train(tmp_path: Path) -> None:
    tree(tmp_path / "p", numbered("train/a", "train/b", "test/a", "test/b", photos=10))
    store = built(tmp_path / "p", tmp_path / "s")
    found = [(row["path"].split("/")[0], row["split"]) for row in rows_of(store)]
    assert {pair: found.count(pair) for pair in set(found)} == {
        ("train", "train"): 16,
        ("train", "val"): 4,
        ("test", "test"): 20,
    }
    assert "val was cut from train (20% of it)" in Store.open(store).manifest.notes["splits"][0]


def test_duplicates_across_given_splits_are_said(tmp_path: Path) -> None:
    tree(tmp_path / "p", numbered("train/a", "train/b", "test/a", "test/b"))
    big = jpeg(77, 400, 300)
    for part in ("train", "test"):
        (tmp_path / "p" / part / "a" / "same.jpg").write_bytes(big)
    notes = Store.open(built(tmp_path / "p", tmp_path / "s")).manifest.notes["splits"]
    assert any("1 groups of duplicates are in several of the given splits" in n for n in notes)
    said = Summary.of_store(tmp_path / "s").text()
    assert "2 photos in 1 groups (2 to the byte), kept; listed in" in said
    assert "each group in one split" not in said


def test_splits_given_needs_some(tmp_path: Path) -> None:
    tree(tmp_path / "p", numbered("a", "b"))
    with pytest.raises(StoreError, match="says nothing of splits"):
        built(tmp_path / "p", tmp_path / "s", splits="given")


SPLITS_OF_MANY = ("Lernbilder_v2", "Kontrolle", "Prüfung 2024")


def test_folders_and_columns_that_may_be_splits_under_other_names_are_said(tmp_path: Path) -> None:
    """Nothing can tell them from ``color/cat`` and ``grey/cat``; a user can."""
    source = tree(tmp_path / "p", numbered(*(f"{s}/{c}" for s in SPLITS_OF_MANY for c in "abc")))
    said = "Kontrolle, Lernbilder_v2 and Prüfung 2024"
    with pytest.raises(StoreError, match=f"share a name.* if {said} are splits, name them train"):
        read_source(source)
    reading = SourceOptions(classes="leaf")
    notes = Store.open(built(source, tmp_path / "s", reading=reading)).manifest.notes["splits"]
    assert notes == [
        f"{said} hold the same folders: if these are splits, name them train, val and test"
    ]
    table = tmp_path / "t.csv"
    paths = [str(path.relative_to(source)) for path in sorted(source.rglob("*.jpg"))]
    lines = [f"{path},{path.split('/')[1]},{path.split('/')[0]}" for path in paths]
    table.write_text("\n".join(["path,label,split", *lines]))
    reading = SourceOptions(root=source)
    notes = Store.open(built(table, tmp_path / "u", reading=reading)).manifest.notes["splits"]
    assert notes[0].startswith("the column of splits says 'Kontrolle', 'Lernbilder_v2', 'Prüf")
    with pytest.raises(StoreError, match="--splits given: the column of splits says 'Kontrolle'"):
        built(table, tmp_path / "v", reading=reading, splits="given")
    # Shares that were asked for need no remark.
    shares = built(table, tmp_path / "w", reading=reading, splits=(0.5, 0.3, 0.2))
    assert "splits" not in Store.open(shares).manifest.notes


def test_class_folders_and_groups_of_them_are_no_splits(tmp_path: Path) -> None:
    for number, folders in enumerate(
        (
            ("cat", "dog"),
            ("pets/cat", "pets/dog", "birds/owl", "birds/hen"),
            ("pets/cat", "pets/dog", "birds/cat", "birds/hen", "birds/owl", "birds/tit"),
            tuple(f"user{n}/{name}" for n in range(9) for name in ("a", "b")),
        )
    ):
        source = tree(tmp_path / str(number), numbered(*folders))
        found = read_source(source, SourceOptions(classes="path"))
        assert "not_splits" not in found.notes, folders
    (tmp_path / "t.csv").write_text("path,label,split\n0/cat/1.jpg,a,train\n0/dog/1.jpg,b,Training")
    found = read_source(tmp_path / "t.csv", SourceOptions(root=tmp_path))
    assert "not_splits" not in found.notes  # splits, but one only


def test_the_spelling_of_an_outer_folder_does_not_matter() -> None:
    folders = pa.chunked_array([[f"Caf\u0065\u0301/{s}/{c}" for s in ("uno", "due") for c in "ab"]])
    assert alike_folders(folders) == ["due", "uno"]


def users(root: Path, count: int = 120) -> Path:
    """A table of photos of 3 classes by 20 people; a path, a label, a user."""
    rng = np.random.default_rng(3)
    lines = []
    for number in range(count):
        photo = add_photo(root, f"{number:04d}", jpeg(number, 40, 30))
        lines.append((photo.relative_to(root), "abc"[number % 3], f"u{rng.integers(20)}"))
    with open(root / "t.csv", "w") as file:
        csv.writer(file).writerows([("path", "label", "user"), *lines])
    return root / "t.csv"


def test_groups_stay_together(tmp_path: Path) -> None:
    reading = SourceOptions(group_by="user", carry=("user",))
    store = built(users(tmp_path / "p"), tmp_path / "s", reading=reading)
    split_of: dict[str, set[str]] = {}
    for row in rows_of(store, "user"):
        split_of.setdefault(row["user"], set()).add(row["split"])
    assert all(len(splits) == 1 for splits in split_of.values())
    counts = Store.open(store).manifest.counts
    assert 0.6 < counts["train"] / counts["photos"] < 0.85
    assert counts["val"] > 0
    assert counts["test"] > 0
    assert "20 groups kept whole" in Store.open(store).manifest.notes["splits"][0]
    plain = built(tmp_path / "p" / "t.csv", tmp_path / "t", reading=SourceOptions(carry=("user",)))
    torn = {(row["user"], row["split"]) for row in rows_of(plain, "user")}
    assert len(torn) > 20


@given(
    owners=st.lists(st.sampled_from(["", "a", "b", "c", "d", "e"]), min_size=1, max_size=40),
    seed=st.integers(0, 3),
    data=st.data(),
)
def test_owners_and_duplicates_are_never_torn(
    owners: list[str], seed: int, data: st.DataObject
) -> None:
    count = len(owners)
    numbers = data.draw(st.lists(st.integers(-1, 4), min_size=count, max_size=count))
    labels = np.array(data.draw(st.lists(st.integers(0, 2), min_size=count, max_size=count)))
    photos = pa.table(
        {"key": [f"k{i}" for i in range(count)], "path": [f"k{i}" for i in range(count)]}
    )
    classes = pa.table({"landmark_id": ["x", "y", "z"], "name": pa.nulls(3, pa.string())})
    records = Records(
        "table",
        FolderReader("/"),
        photos,
        labels.astype(np.int32),
        classes,
        REJECTED_SCHEMA.empty_table(),
        owners=pa.array(owners),
        groups=np.array(numbers),
    )
    splits, said = by_owner(records, (0.72, 0.18, 0.1), seed)
    assert splits.shape == (count,)
    assert said
    for values in (owners, numbers):
        for value in set(values) - {"", -1}:
            assert len({s for s, v in zip(splits.tolist(), values, strict=True) if v == value}) == 1


@pytest.mark.parametrize("torn", [False, True])
def test_groups_and_splits_of_the_source(tmp_path: Path, torn: bool) -> None:
    photos = [f"{part}/{n}.jpg" for part in ("train", "test") for n in range(12)]
    tree(tmp_path, photos)
    rows = [
        f"{path},{'ab'[n % 2]},u{n // 3 if not torn else n % 6}" for n, path in enumerate(photos)
    ]
    (tmp_path / "t.csv").write_text("\n".join(["path,label,user", *rows]) + "\n")
    reading = SourceOptions(group_by="user", carry=("user",))
    if torn:
        with pytest.raises(StoreError, match=r"6 groups are in several .* add --splits 0\.72"):
            built(tmp_path / "t.csv", tmp_path / "s", reading=reading)
        store = built(tmp_path / "t.csv", tmp_path / "s", reading=reading, splits=(0.5, 0.25, 0.25))
    else:
        store = built(tmp_path / "t.csv", tmp_path / "s", reading=reading)
        found = {(row["path"].split("/")[0], row["split"]) for row in rows_of(store)}
        assert found == {("train", "train"), ("train", "val"), ("test", "test")}
    of_user = {(row["user"], row["split"]) for row in rows_of(store, "user")}
    assert len(of_user) == len({user for user, _ in of_user})


def test_the_preview_writes_nothing(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    tree(tmp_path / "p", numbered("train/a", "train/b", "test/a", "test/b"))
    lines: list[str] = []
    preview(BuildOptions(source=tmp_path / "p", out=tmp_path / "s"), show=lines.append)
    command = ["build", "--source", str(tmp_path / "p"), "--out", str(tmp_path / "s"), "--dry-run"]
    assert main(command) == 0
    assert capsys.readouterr().out.splitlines() == lines
    assert lines[0] == "layout    folders"
    assert "would be  train 6, val 2, test 8" in lines
    assert not (tmp_path / "s").exists()


def test_the_preview_names_split_folders_small_classes_and_what_becomes_of_them(
    tmp_path: Path,
) -> None:
    paths = numbered("Training/a", "Training/b", "Training/c", "Training/d", "Testing/a", photos=4)
    tree(tmp_path / "p", [*paths, "Training/rare/1.jpg"])
    source, out = tmp_path / "p", tmp_path / "s"

    def shown(**options: Any) -> list[str]:
        lines: list[str] = []
        preview(BuildOptions(source=source, out=out, **options), show=lines.append)
        return lines

    lines = shown()
    assert "splits    from the source: train 17 (in Training), test 4 (in Testing)" in lines
    assert "smallest  d (4), rare (1)" in lines
    assert any(
        line.startswith("copies    the build looks for them and keeps each") for line in lines
    )
    again = shown(splits=(0.5, 0.25, 0.25), duplicates="keep")
    split = [line for line in again if line.startswith("splits")]
    assert split == [
        "splits    the source has train 17 (in Training), test 4 (in Testing); --splits divides "
        "them anew"
    ]
    assert any("does not look for them (--duplicates keep)" in line for line in again)


def test_folders_named_by_dates_get_a_note(tmp_path: Path) -> None:
    tree(tmp_path / "p", numbered("2019-07 Rome", "2020-01", "Castle"))
    lines: list[str] = []
    preview(BuildOptions(source=tmp_path / "p", out=tmp_path / "s"), show=lines.append)
    notes = [line for line in lines if line.startswith("note")]
    assert len(notes) == 1
    assert "2 of 3 classes are called like dates, cameras or occasions (2019-07 Rome, " in notes[0]
    built(tmp_path / "p", tmp_path / "s", splits=(0.5, 0.25, 0.25))  # a note stops no build


def test_doubts_stop_the_command_and_yes_goes_on(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    tree(tmp_path / "p", numbered("images", photos=8))
    command = ["build", "--source", str(tmp_path / "p"), "--out", str(tmp_path / "s")]
    assert main([*command, "--workers", "1"]) == 2
    printed = capsys.readouterr()
    assert printed.out.startswith("layout    folders\n")
    assert "one class only, 'images'" in printed.err
    assert printed.err.endswith("add --yes\n")
    assert printed.err.count("\n") == 1
    assert not (tmp_path / "s").exists()
    assert main([*command, "--workers", "1", "--yes"]) == 0


def test_an_empty_source_is_refused(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    command = ["build", "--source", " ", "--out", str(tmp_path / "s")]
    assert "argument --source: is empty" in error_of(command, capsys)
    assert "is empty; give the folder" in error_of(["stats", ""], capsys)
    assert "is empty; give the folder" in error_of(["eda", "", "--out", "x.html"], capsys)


def test_stats_say_what_will_be_left_out(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    tree(tmp_path / "p", [*numbered("a", "b"), "a/notes.txt", "stray.jpg"])
    assert main(["stats", str(tmp_path / "p"), "--json"]) == 0
    figures = json.loads(capsys.readouterr().out)
    assert figures["skipped"] == {"not in a class folder": 1, "not a photo": 1}
    assert main(["stats", str(tmp_path / "p")]) == 0
    assert "skipped   1 not a photo" in capsys.readouterr().out
