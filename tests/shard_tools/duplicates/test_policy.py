"""What a build does about photos that show the same picture."""

from __future__ import annotations

import csv
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import simplejpeg
from PIL import Image

import shard_tools.build.builder
import shard_tools.build.packing
import shard_tools.duplicates.scan
from shard_tools.build.builder import BuildInterruptedError, build_store
from shard_tools.build.options import BuildOptions
from shard_tools.build.tables import duplicate_lines
from shard_tools.photos.prepare import PhotoOptions
from shard_tools.store.store import Store, read_photo
from tests.helpers.photos import add_photo, built, encoded, kaggle, scene, write_labels
from tests.helpers.stores import rejected, same


@pytest.fixture(scope="module")
def source(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two landmarks of 20 photos; each of the first 12 of landmark 1 is there three times."""
    root = tmp_path_factory.mktemp("source")
    labels = kaggle(root, {"1": 20, "2": 20})
    for number, key in enumerate(list(labels)[:12]):
        image = scene(200, 150, number)
        add_photo(root, key, encoded(image, quality=92))
        for name, data in (
            (f"e{number:03d}", encoded(image, quality=92)),
            (f"f{number:03d}", encoded(image.resize((120, 90)), quality=70)),
        ):
            labels[name] = "1"
            add_photo(root, name, data)
    twin = next(key for key, mark in labels.items() if mark == "2")
    labels["d" * 16] = "1"
    add_photo(root, "d" * 16, next(root.rglob(f"{twin}.jpg")).read_bytes())
    write_labels(root, labels)
    return root


def table(store: Path) -> list[dict[str, str]]:
    with open(store / "duplicates.csv") as file:
        return list(csv.DictReader(file))


def test_one_split(source: Path, tmp_path: Path) -> None:
    store = Store.open(built(source, tmp_path / "s"))
    split = {row["key"]: row["split"] for row in store.samples().to_pylist()}
    assert len(split) == 65
    rows = table(store.path)
    assert len(rows) == 38
    groups = {row["group"] for row in rows}
    assert len(groups) == 13
    for group in groups:
        members = [row for row in rows if row["group"] == group]
        assert len({split[row["key"]] for row in members}) == 1
    conflict = [row for row in rows if row["label_conflict"] == "true"]
    assert {row["landmark_id"] for row in conflict} == {"1", "2"}
    assert {split[row["key"]] for row in conflict} == {"train"}
    notes = store.manifest.notes["duplicates"]
    assert (notes["groups"], notes["exact"], notes["groups_with_label_conflict"]) == (13, 26, 1)
    counts = [store.manifest.counts[name] for name in ("train", "val", "test")]
    assert abs(np.array(counts) - 65 * np.array([0.72, 0.18, 0.1])).max() <= 6
    # Without looking, they leak: else this test would show nothing.
    kept = Store.open(built(source, tmp_path / "k", duplicates="keep"))
    split = {row["key"]: row["split"] for row in kept.samples().to_pylist()}
    assert len({(row["group"], split[row["key"]]) for row in rows}) > 13
    assert not (kept.path / "duplicates.csv").exists()


def test_drop(source: Path, tmp_path: Path) -> None:
    options = BuildOptions(source=source, out=tmp_path / "s", duplicates="drop")
    summary = build_store(options, 1, progress=False)
    store = Store.open(tmp_path / "s")
    keys = set(store.samples()["key"].to_pylist())
    assert len(keys) == 65 - 24
    assert "d" * 16 in keys  # the same picture under two labels: one of each stays
    gone = [row for row in rejected(store.path) if row["reason"] == "duplicate"]
    rows = table(store.path)
    dropped = {row["key"] for row in rows if row["action"] == "dropped"}
    assert {row["key"] for row in gone} == dropped
    assert dropped.isdisjoint(keys)
    assert sum(key in keys for key in (row["key"] for row in rows)) == 14
    assert not keys & {f"f{number:03d}" for number in range(12)}  # the smaller copies
    text = summary.text()
    assert "copies    38 photos in 13 groups (26 to the byte), 24 dropped" in text
    assert "1 of 13 groups of duplicates have more than one label\n" in text


@pytest.mark.parametrize(("conflicts", "doubted"), [(6, False), (7, True), (13, True)])
def test_copies_mostly_in_several_classes_cast_doubt_on_the_classes(
    conflicts: int, doubted: bool
) -> None:
    notes = {"groups": 13, "photos": 38, "exact": 26, "dropped": 0}
    line = duplicate_lines({**notes, "groups_with_label_conflict": conflicts})[-1]
    assert line.startswith(f"warning   {conflicts} of 13 groups")
    assert line.endswith("(--dry-run, --classes)") == doubted


def test_workers_and_interruptions_change_nothing(
    source: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(shard_tools.duplicates.scan, "_PART", 16)
    whole = built(source, tmp_path / "whole")
    assert same(built(source, tmp_path / "two", 2), whole)
    one, calls = shard_tools.duplicates.scan.fingerprint, iter(range(1000))

    def stops(data: bytes, max_pixels: int):
        if next(calls) == 40:
            raise KeyboardInterrupt
        return one(data, max_pixels)

    with monkeypatch.context() as patch:
        patch.setattr(shard_tools.duplicates.scan, "fingerprint", stops)
        with pytest.raises(BuildInterruptedError, match=r"looking for duplicates; .* kept in"):
            built(source, tmp_path / "s")
        assert len(list((tmp_path / "s" / ".building").glob("scan-*"))) == 2
        built(source, tmp_path / "s")
    assert next(calls) == 41 + 65 - 32
    assert same(tmp_path / "s", whole)


def test_a_damaged_copy_does_not_take_the_place_of_a_whole_one(tmp_path: Path) -> None:
    labels = kaggle(tmp_path / "k", {"1": 6})
    whole = encoded(scene(300, 200, 50), quality=80)
    add_photo(tmp_path / "k", "aaaa", whole)
    add_photo(tmp_path / "k", "bbbb", encoded(scene(600, 400, 50), quality=95)[:-60])
    write_labels(tmp_path / "k", labels | {"aaaa": "1", "bbbb": "1"})
    store = Store.open(built(tmp_path / "k", tmp_path / "s", duplicates="drop"))
    assert "aaaa" in store.samples()["key"].to_pylist()
    assert [row["reason"] for row in rejected(store.path)] == ["truncated"]


def test_flat_photos_are_no_group(tmp_path: Path) -> None:
    labels = kaggle(tmp_path / "k", {"1": 2})
    for number in range(8):
        image = Image.new("RGB", (64, 48), (number * 30, 99, 99))
        add_photo(tmp_path / "k", f"{number:04d}", encoded(image, quality=80))
        labels[f"{number:04d}"] = "1"
    write_labels(tmp_path / "k", labels)
    assert table(built(tmp_path / "k", tmp_path / "s")) == []


def test_real_photos(shared: Path, tmp_path: Path) -> None:
    source = shared / "data" / "landmarks13"
    if not source.is_dir():
        pytest.skip(f"{source} is not here")
    store = Store.open(built(source, tmp_path / "s", 2))
    notes = store.manifest.notes["duplicates"]
    assert (notes["groups"], notes["photos"]) == (18, 37)
    assert notes["groups_with_label_conflict"] == 0


def test_each_photo_is_decoded_once(
    source: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """To compare it; that it is whole is then known. A store's photos have been checked already."""
    decode, seen = simplejpeg.decode_jpeg, list[bytes]()

    def noted(data: bytes, *args: Any, **options: Any) -> np.ndarray:
        seen.append(data)
        return decode(data, *args, **options)

    monkeypatch.setattr(simplejpeg, "decode_jpeg", noted)
    store = built(source, tmp_path / "store")
    photos = [read_photo(Store.open(store), **where(row)) for row in rows(store)]
    assert sorted(seen) == sorted(photos)
    seen.clear()
    built(source, tmp_path / "dropped", duplicates="drop")
    assert sorted(seen) == sorted(photos)
    seen.clear()
    again = built(store, tmp_path / "again", duplicates="keep", top_classes=1, seed=3)
    assert not seen
    trusting = BuildOptions(
        source, tmp_path / "t", duplicates="keep", photo=PhotoOptions(check="header")
    )
    build_store(trusting, 1, progress=False)
    assert not seen
    built(tmp_path / "t", tmp_path / "checked", duplicates="keep")
    assert sorted(seen) == sorted(photos)
    assert 0 < len(rows(again)) < len(photos)


@pytest.mark.parametrize("policy", ["one-split", "drop"])
def test_what_is_known_of_photos_changes_no_byte(
    source: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, policy: str
) -> None:
    """Photos of all kinds, and one that was damaged after it was looked at."""
    folder = tmp_path / "source"
    shutil.copytree(source, folder)
    labels = {row[0]: row[1] for row in csv.reader((folder / "train.csv").open())}
    image = scene(300, 200, 77)
    later = add_photo(folder, "e999", encoded(image))
    add_photo(folder, "e997", encoded(scene(300, 200, 78))[:-3000])
    add_photo(folder, "e996", encoded(scene(300, 200, 79), "PNG"))
    add_photo(folder, "e995", encoded(scene(300, 200, 80), progressive=True))
    add_photo(folder, "e994", b"no photo")
    add_photo(folder, "e993", encoded(scene(300, 200, 81))).chmod(0)
    del labels["id"]
    write_labels(folder, labels | {f"e99{digit}": "1" for digit in range(3, 10) if digit != 8})
    plan, photo = shard_tools.build.builder.make_plan, later.read_bytes()

    def damaged(*args: Any) -> Any:
        later.write_bytes(photo[:-2000])
        return plan(*args)

    monkeypatch.setattr(shard_tools.build.builder, "make_plan", damaged)
    stores = []
    for name, workers, known in (("known", 2, True), ("unknown", 1, False)):
        later.write_bytes(photo)
        if not known:
            monkeypatch.setattr(shard_tools.build.packing, "_at", lambda column, rows: None)
        stores.append(built(folder, tmp_path / name, workers, duplicates=policy, shard_size=20))
    assert same(*stores)
    reasons = {row["key"]: row["reason"] for row in rejected(stores[0])}
    bad = {"e999": "truncated", "e997": "truncated", "e994": "not a photo"}
    assert reasons.items() >= bad.items()
    assert not {"e996", "e995"} & set(reasons)


def rows(store: Path) -> list[dict[str, Any]]:
    return Store.open(store).samples().to_pylist()


def where(row: dict[str, Any]) -> dict[str, Any]:
    return {name: row[name] for name in ("shard", "offset", "size")}
