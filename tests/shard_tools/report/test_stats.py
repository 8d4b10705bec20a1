"""``glr-shard stats`` and ``show``: what they say of a store, a source and tables of counts."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from shard_tools.cli import main
from shard_tools.errors import StoreError
from shard_tools.report.class_counts import read_counts
from shard_tools.report.stats import collect
from shard_tools.store.store import Store
from tests.helpers.photos import built, jpeg, kaggle


@pytest.fixture(scope="module")
def source(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("stats") / "source"
    kaggle(root, {"1": 12, "20": 5, "3": 1})
    (root / "landmarks.csv").write_text("landmark_id,name\n20,tower bridge\n")
    return root


@pytest.fixture(scope="module")
def store(source: Path) -> Path:
    return built(source, source.parent / "store", shard_size=8)


def test_a_store(store: Path) -> None:
    figures = collect(store, top=2)
    assert (figures["kind"], figures["photos"], figures["classes"]) == ("store", 18, 3)
    assert sum(split["photos"] for split in figures["splits"].values()) == 18
    assert figures["top"] == [
        {"landmark_id": "1", "name": None, "photos": 12},
        {"landmark_id": "20", "name": "tower bridge", "photos": 5},
    ]
    assert figures["photo"]["aspect"]["median"] == 1.5
    assert figures["shards"] == len(Store.open(store).manifest.shards)
    assert figures["shard_bytes"] == sum(tar.stat().st_size for tar in store.glob("*.tar"))


def test_a_source_is_counted_from_its_labels_alone(source: Path, tmp_path: Path) -> None:
    (tmp_path / "train.csv").write_text((source / "train.csv").read_text())
    figures = collect(tmp_path)  # no photo is there
    assert (figures["kind"], figures["photos"], figures["max"]) == ("labels", 18, 12)


def test_class_folders_are_listed(tmp_path: Path) -> None:
    for place in ("a/1.jpg", "a/2.jpg", "b/3.jpg"):
        (tmp_path / place).parent.mkdir(exist_ok=True)
        (tmp_path / place).write_bytes(jpeg())
    counts = read_counts(tmp_path)
    assert (counts.kind, counts.landmark_ids.to_pylist()) == ("source", ["a", "b"])
    assert counts.total.tolist() == [2, 1]


@pytest.mark.parametrize(
    ("text", "kind", "total"),
    [
        ("landmark_id,images\n7,30\n5,2\n", "counts", [2, 30]),
        ("landmark_id,images\n7,ab12 cd34\n5,ef56\n", "labels", [1, 2]),
        ("id,landmark_id\nx,7\ny,7\nz,5\n", "labels", [1, 2]),
        ("id,url,landmark_id\nx,http://a,7\ny,http://b,5\n", "labels", [1, 1]),
    ],
)
def test_csv_files(text: str, kind: str, total: list[int], tmp_path: Path) -> None:
    (tmp_path / "c.csv").write_text(text)
    counts = read_counts(tmp_path / "c.csv")
    assert (counts.kind, counts.total.tolist()) == (kind, total)
    assert counts.landmark_ids.to_pylist() == ["5", "7"]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("landmark_id,images\n7,30\n7,2\n", "has several rows"),
        ("landmark_id,images\n", "no classes"),
        ("landmark_id,images\n7,0\n", "no photos there"),
        ("id,landmark_id\n", "no photo in it has a label"),
        ("a,b\n1,2\n", "no column is called like path or label; it has a, b"),
    ],
)
def test_csv_files_that_cannot_be_used(text: str, message: str, tmp_path: Path) -> None:
    (tmp_path / "c.csv").write_text(text)
    with pytest.raises(StoreError, match=message):
        collect(tmp_path / "c.csv")


def test_the_command(store: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["stats", str(store), "--json"]) == 0
    assert json.loads(capsys.readouterr().out) == collect(store)
    assert main(["stats", str(store)]) == 0
    printed = capsys.readouterr().out
    for part in ("photos      18", "Gini 0.", "12 : 1", "tower bridge", "width       min 48 px"):
        assert part in printed
    assert main(["stats", str(store / "none")]) == 2
    assert main(["stats", str(store), "--top", "-1"]) == 2


def test_show_a_photo(store: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    row = Store.open(store).samples().slice(3, 1).to_pylist()[0]
    out = tmp_path / "photo.jpg"
    assert main(["show", str(store), row["key"], "--out", str(out)]) == 0
    printed = capsys.readouterr().out
    for part in (row["key"], row["shard"], row["xxh128"].hex(), "pixels       48 x 32", str(out)):
        assert part in printed
    tar = (store / row["shard"]).read_bytes()
    assert out.read_bytes() == tar[row["offset"] : row["offset"] + row["size"]]


@pytest.mark.parametrize("name", ["train-000000", "train-000000.tar", "train-000000.idx"])
def test_show_a_shard(name: str, store: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["show", str(store), name]) == 0
    printed = capsys.readouterr().out
    shard = Store.open(store).manifest.shards[0]
    for part in (
        f"photos       {shard.samples} of ",
        shard.sha256,
        f"bytes        {shard.bytes:,}",
    ):
        assert part in printed
    assert Store.open(store).samples()["key"][0].as_py() in printed


def test_show_user_errors(store: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    key = Store.open(store).samples()["key"][0].as_py()
    for arguments, message in (
        ([str(store), "none"], "no photo or shard 'none'"),
        ([str(store), "val-000000", "--out", "x"], "is a shard, not a photo"),
        ([str(store), key, "--out", str(tmp_path / "no" / "x.jpg")], "cannot be written"),
        ([str(tmp_path / "none"), key], "no such store folder"),
    ):
        assert main(["show", *arguments]) == 2
        assert message in capsys.readouterr().err
