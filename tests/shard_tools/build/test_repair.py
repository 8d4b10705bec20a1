"""Damaged shards are rebuilt to the byte, the others left alone."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from shard_tools.build.repair import repair_store
from shard_tools.cli import main
from shard_tools.errors import StoreError
from shard_tools.sources import SourceOptions
from shard_tools.verify import verify_store
from tests.helpers.commands import error_of
from tests.helpers.damage import manifest
from tests.helpers.photos import built, kaggle
from tests.helpers.sources import tars, zipped
from tests.helpers.stores import same
from tests.helpers.trees import numbered, tree


@pytest.fixture(scope="module")
def photos(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("repair") / "photos"
    kaggle(root, {"1": 14, "2": 7, "3": 2})
    return root


@pytest.mark.parametrize("options", [{}, {"resize_short": 16, "quality": 70}])
@pytest.mark.parametrize("layout", ["folder", "zip", "tars"])
def test_shards_come_back_to_the_byte(
    photos: Path, tmp_path: Path, layout: str, options: dict[str, int]
) -> None:
    source = photos
    if layout == "zip":
        source = zipped(photos, tmp_path / "x.zip")
    elif layout == "tars":
        source = tars(photos, tmp_path / "tars")
    store = built(source, tmp_path / "s", shard_size=5, **options)
    whole = tmp_path / "whole"
    shutil.copytree(store, whole)
    kept = (store / "train-000001.tar").stat().st_mtime_ns
    (store / "train-000000.tar").unlink()
    (store / "val-000000.idx").write_text("v1.2 0\n")
    data = bytearray((store / "train-000002.tar").read_bytes())
    data[700] ^= 1
    (store / "train-000002.tar").write_bytes(data)
    assert verify_store(store)
    rebuilt = repair_store(store, source, SourceOptions(), workers=1, progress=False)
    assert sorted(rebuilt) == ["train-000000.tar", "train-000002.tar", "val-000000.tar"]
    assert same(store, whole)
    assert verify_store(store) == []
    assert (store / "train-000001.tar").stat().st_mtime_ns == kept
    assert repair_store(store, source, SourceOptions(), progress=False) == []


def test_other_photos_do_not_get_in(photos: Path, tmp_path: Path) -> None:
    store = built(photos, tmp_path / "s", shard_size=5)
    (store / "train-000000.tar").write_bytes(b"")
    other = tmp_path / "other"
    kaggle(other, {"1": 14, "2": 7, "3": 2})
    for photo in (other / "train").rglob("*.jpg"):
        photo.write_bytes(photo.read_bytes() + b"\0")
    with pytest.raises(StoreError, match=r"its photos are not those of the build"):
        repair_store(store, other, SourceOptions(), progress=False)
    assert (store / "train-000000.tar").read_bytes() == b""
    assert not list(store.glob(".repair*"))
    for photo in list((other / "train").rglob("*.jpg"))[:18]:
        photo.unlink()
    with pytest.raises(StoreError, match="of its photos are not in the source"):
        repair_store(store, other, SourceOptions(), progress=False)


def test_the_command(photos: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    store = built(photos, tmp_path / "s", shard_size=5)
    (store / "train-000000.idx").unlink()
    command = ["repair", str(store), "--source", str(photos), "--workers", "1"]
    assert main(command) == 0
    assert capsys.readouterr().out.splitlines()[0] == "train-000000.tar: rebuilt"
    command[1] = str(tmp_path)
    assert "not a finished store" in error_of(command, capsys)


@pytest.mark.parametrize(
    ("name", "value"),
    [("quality", None), ("quality", 101), ("max_pixels", "x"), ("check", 1), ("resize_short", 0)],
)
def test_a_manifest_that_does_not_say_how_photos_were_packed(
    photos: Path, tmp_path: Path, name: str, value: object
) -> None:
    store = built(photos, tmp_path / "s", shard_size=5)
    (store / "train-000000.tar").unlink()
    manifest(store, lambda raw: raw["options"].update({name: value}))
    with pytest.raises(StoreError, match="do not say how photos were packed"):
        repair_store(store, photos, SourceOptions(), progress=False)


def test_photos_in_place_of_the_table_that_was_built(tmp_path: Path) -> None:
    tree(tmp_path / "p", numbered("photos", photos=8))
    lines = "".join(f"photos/{n}.jpg,{'ab'[n % 2]}\n" for n in range(8))
    (tmp_path / "p" / "t.csv").write_text(f"path,label\n{lines}")
    store = built(tmp_path / "p" / "t.csv", tmp_path / "s")
    next(store.glob("*.tar")).unlink()
    with pytest.raises(StoreError, match=r"from a source of the layout table: give that one$"):
        repair_store(store, tmp_path / "p", SourceOptions(), progress=False)
    assert len(repair_store(store, tmp_path / "p" / "t.csv", SourceOptions(), progress=False)) == 1


def test_a_folder_in_the_place_of_a_shard(photos: Path, tmp_path: Path) -> None:
    store = built(photos, tmp_path / "s", shard_size=5)
    (store / "train-000000.idx").unlink()
    (store / "train-000000.idx").mkdir()
    with pytest.raises(StoreError, match=r"train-000000\.idx: is a folder; remove it"):
        repair_store(store, photos, SourceOptions(), progress=False)


def test_the_manifest_says_how_the_source_was_read(tmp_path: Path) -> None:
    tree(tmp_path / "p", numbered("Fruit/Red", "Veg/Red", photos=6))
    store = built(tmp_path / "p", tmp_path / "s", reading=SourceOptions(classes="path"))
    tree(tmp_path / "q", numbered("pictures", photos=8))
    lines = "".join(f"{n}.jpg,{'ab'[n % 2]}\n" for n in range(8))
    (tmp_path / "t.csv").write_text(f"picture,kind\n{lines}")
    how = SourceOptions(labels=tmp_path / "t.csv", columns=(("path", "picture"), ("label", "kind")))
    other = built(tmp_path / "q" / "pictures", tmp_path / "o", reading=how)
    for folder, source, reading in (
        (store, tmp_path / "p", SourceOptions()),
        (other, tmp_path / "q" / "pictures", SourceOptions(labels=tmp_path / "t.csv")),
    ):
        shutil.copytree(folder, folder.with_name("whole"))
        next(folder.glob("*.tar")).write_bytes(b"")
        assert len(repair_store(folder, source, reading, progress=False)) == 1
        assert same(folder, folder.with_name("whole"))
        shutil.rmtree(folder.with_name("whole"))
    next(other.glob("*.tar")).write_bytes(b"")
    with pytest.raises(StoreError, match=r"was built with --labels \.\.\./t\.csv; give it again"):
        repair_store(other, tmp_path / "q" / "pictures", SourceOptions(), progress=False)
