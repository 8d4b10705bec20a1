"""Stores as a whole: what is in them, that they are reproducible, that a build can be continued."""

from __future__ import annotations

import csv
import errno
import hashlib
import os
from pathlib import Path

import numpy as np
import pytest
import xxhash

from shard_tools.build.builder import build_store
from shard_tools.build.options import BuildOptions
from shard_tools.errors import StoreError
from shard_tools.photos.prepare import PhotoOptions
from shard_tools.store.layout import CLASSES_SCHEMA, SAMPLES_SCHEMA, SPLITS
from shard_tools.store.store import Store
from tests.helpers.photos import add_photo, built, jpeg, kaggle, pixels
from tests.helpers.stores import rejected, same

SIZES = {"5": 20, "40": 10, "300": 7, "1000": 2, "2000": 1}


def test_tables_agree_with_the_tars(source: Path, store: Path) -> None:
    opened = Store.open(store)
    samples, classes = opened.samples(), opened.classes()
    assert samples.schema == SAMPLES_SCHEMA
    assert classes.schema == CLASSES_SCHEMA
    with open(source / "train.csv") as file:
        labels = {row["id"]: row["landmark_id"] for row in csv.DictReader(file)}
    ids = classes["landmark_id"].to_pylist()
    assert ids == list(SIZES)
    assert classes["name"].to_pylist() == ["Five", None, None, None, None]
    rows = samples.to_pylist()
    assert {row["key"]: row["landmark_id"] for row in rows} == labels
    for row in rows:
        assert ids[row["label"]] == row["landmark_id"]
        assert row["shard"].startswith(row["split"] + "-")
        data = (store / row["shard"]).read_bytes()[row["offset"] :][: row["size"]]
        assert xxhash.xxh3_128(data).digest() == row["xxh128"]
        key = row["key"]
        assert data == (source / "train" / key[0] / key[1] / key[2] / f"{key}.jpg").read_bytes()
    order = [(SPLITS.index(row["split"]), row["shard"], row["offset"]) for row in rows]
    assert order == sorted(order)


def test_manifest_and_counts(store: Path) -> None:
    opened = Store.open(store)
    manifest, samples = opened.manifest, opened.samples()
    assert manifest.counts["photos"] == 40
    assert manifest.counts["classes"] == 5
    assert manifest.counts["rejected"] == 0
    assert manifest.notes["classes_without_train_photo"] == []
    start = 0
    for split in SPLITS:
        rows = opened.split_rows(split)
        assert (rows.start, len(rows)) == (start, manifest.counts[split])
        assert set(samples["split"].to_pylist()[rows.start : rows.stop]) <= {split}
        labels = samples["label"].to_numpy()[rows.start : rows.stop]
        assert (opened.class_counts(split) == np.bincount(labels, minlength=5)).all()
        start = rows.stop
    assert (opened.class_counts("train") >= 1).all()
    for shard in manifest.shards:
        data = (store / shard.name).read_bytes()
        assert (len(data), hashlib.sha256(data).hexdigest()) == (shard.bytes, shard.sha256)
        index = (store / shard.index_name).read_bytes()
        assert hashlib.sha256(index).hexdigest() == shard.index_sha256
    files = {path.name for path in store.iterdir()}
    shards = {name for shard in manifest.shards for name in (shard.name, shard.index_name)}
    tables = {"manifest.json", "classes.parquet", "samples.parquet", "rejected.csv"}
    tables.add("duplicates.csv")
    assert files == shards | tables


@pytest.mark.parametrize("resize", [None, 16])
def test_the_number_of_workers_changes_nothing(
    source: Path, tmp_path: Path, resize: int | None
) -> None:
    one, three = (
        built(source, tmp_path / str(n), n, shard_size=5, resize_short=resize) for n in (1, 3)
    )
    assert same(one, three)


def test_another_seed_is_another_store(source: Path, store: Path, tmp_path: Path) -> None:
    other = Store.open(built(source, tmp_path / "other", seed=1, shard_size=8))
    mine = Store.open(store)
    assert other.samples(["key"]) != mine.samples(["key"])
    assert other.manifest.counts["photos"] == mine.manifest.counts["photos"]


def test_subsets_and_sizes(source: Path, tmp_path: Path) -> None:
    store = Store.open(built(source, tmp_path / "s", top_classes=2, min_images=2, resize_short=16))
    assert store.classes()["landmark_id"].to_pylist() == ["5", "40"]
    assert store.manifest.counts["photos"] == 30
    assert set(store.samples(["height"])["height"].to_pylist()) == {16}


def test_webdataset_reads_it(store: Path) -> None:
    webdataset = pytest.importorskip("webdataset", reason="webdataset is not installed")
    opened = Store.open(store)
    for split in SPLITS:
        tars = [str(store / shard.name) for shard in opened.manifest.shards if shard.split == split]
        photos = list(webdataset.WebDataset(tars, shardshuffle=False).decode("rgb8"))
        rows = opened.split_rows(split)
        samples = opened.samples(["key", "label"]).slice(rows.start, len(rows)).to_pylist()
        assert [(p["__key__"], p["cls"]) for p in photos] == [
            (s["key"], s["label"]) for s in samples
        ]
        assert all(photo["jpg"].shape == (32, 48, 3) for photo in photos)


def test_bad_photos_are_counted_and_listed(tmp_path: Path) -> None:
    kaggle(tmp_path / "source", {"1": 10, "2": 1})
    files = sorted((tmp_path / "source").rglob("*.jpg"))
    files[0].write_bytes(jpeg()[:-30])
    files[1].write_bytes(b"<html>")
    files[2].unlink()
    add_photo(tmp_path / "source", "stray", jpeg())
    store = Store.open(built(tmp_path / "source", tmp_path / "store"))
    assert store.manifest.counts["photos"] == 8
    assert store.manifest.counts["rejected"] == 4
    found = {(row["key"], row["reason"]): row for row in rejected(store.path)}
    assert set(found) == {
        (files[2].stem, "no file"),
        ("stray", "not in train.csv"),
        (files[0].stem, "truncated"),
        (files[1].stem, "not a photo"),
    }
    assert found[files[0].stem, "truncated"]["landmark_id"] == "1"


def test_classes_that_lost_their_train_photos_are_named(tmp_path: Path) -> None:
    labels = kaggle(tmp_path / "source", {"1": 10, "7": 1})
    lonely = next(key for key, landmark in labels.items() if landmark == "7")
    add_photo(tmp_path / "source", lonely, b"no photo")
    options = BuildOptions(source=tmp_path / "source", out=tmp_path / "store")
    summary = build_store(options, 1, progress=False)
    assert summary.manifest.notes["classes_without_train_photo"] == ["7"]
    assert "1 class without a photo to train: 7" in summary.text()
    assert "1 not a photo" in summary.text()
    assert Store.open(tmp_path / "store").class_counts().tolist()[1] == 0


def test_no_photo_gets_in(tmp_path: Path) -> None:
    kaggle(tmp_path / "source", {"1": 3})
    for file in (tmp_path / "source").rglob("*.jpg"):
        file.write_bytes(b"")
    with pytest.raises(StoreError, match=r"no photo could be packed: 3 empty file"):
        built(tmp_path / "source", tmp_path / "store")


def test_a_shard_without_photos_is_dropped(tmp_path: Path) -> None:
    kaggle(tmp_path / "source", {"1": 12})
    whole = Store.open(built(tmp_path / "source", tmp_path / "whole", shard_size=3)).samples()
    for row in whole.to_pylist():
        if row["shard"] == "train-000001.tar":
            next((tmp_path / "source").rglob(f"{row['key']}.jpg")).write_bytes(b"")
    store = Store.open(built(tmp_path / "source", tmp_path / "store", shard_size=3))
    assert not list(store.path.glob("train-000001*"))
    assert "train-000001.tar" not in [shard.name for shard in store.manifest.shards]
    assert store.samples().num_rows == store.manifest.counts["photos"]


def test_a_server_that_cannot_start_is_no_matter_where_none_is_needed(
    source: Path, store: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full() -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr("multiprocessing.forkserver.ensure_running", full)
    built(source, tmp_path / "one", workers=2, duplicates="keep", splits=(1, 0, 0))
    with pytest.raises(StoreError, match="the disk is full"):
        built(source, tmp_path / "many", workers=2, shard_size=8, duplicates="keep")


def test_other_folders_are_refused(source: Path, store: Path, tmp_path: Path) -> None:
    with pytest.raises(StoreError, match="already holds a finished store"):
        built(source, store)
    (tmp_path / "notes.txt").touch()
    with pytest.raises(StoreError, match="is not empty and no store"):
        built(source, tmp_path)
    with pytest.raises(StoreError, match="is not a folder"):
        built(source, tmp_path / "notes.txt")


def test_real_photos(shared: Path, tmp_path: Path) -> None:
    source = shared / "data" / "landmarks13"
    if not source.is_dir():
        pytest.skip(f"{source} is not here")
    store = Store.open(built(source, tmp_path / "store", workers=2, shard_size=128))
    assert store.manifest.counts["photos"] == 512
    assert store.manifest.counts["rejected"] == 0
    assert abs(np.array([store.manifest.counts[s] for s in SPLITS]) - [369, 92, 51]).max() <= 4
    small = Store.open(built(source, tmp_path / "small", workers=2, resize_short=64, top_classes=2))
    row = small.samples().to_pylist()[0]
    data = (small.path / row["shard"]).read_bytes()[row["offset"] :][: row["size"]]
    assert min(pixels(data).shape[:2]) == 64


def test_a_store_says_how_its_photos_were_checked(
    source: Path, store: Path, tmp_path: Path
) -> None:
    header = PhotoOptions(check="header")
    with pytest.raises(StoreError, match="would save nothing: --duplicates one-split decodes ever"):
        BuildOptions(source=source, out=tmp_path, photo=header)
    options = BuildOptions(
        source=source, out=tmp_path / "quick", duplicates="keep", photo=header, shard_size=8
    )
    summary = build_store(options, 1, progress=False)
    assert summary.manifest.options["check"] == "header"
    assert "photos were not decoded" in summary.text()
    assert Store.open(store).manifest.options["check"] == "full"
    for tar in store.glob("*.tar"):  # of sound photos the same is packed
        assert (tmp_path / "quick" / tar.name).read_bytes() == tar.read_bytes()
    with pytest.raises(StoreError, match="--check 'none' is unknown; give full or header"):
        BuildOptions(source=source, out=tmp_path, photo=PhotoOptions(check="none"))
