"""Stores of strangers: names that lead elsewhere, numbers out of range, pipes in place of files."""

from __future__ import annotations

import contextlib
import json
import os
from pathlib import Path

import pytest

from shard_tools.cli.show import show
from shard_tools.errors import StoreError
from shard_tools.sampling import IndexOptions, write_index
from shard_tools.sources import read_source
from shard_tools.store.epoch_index import EpochIndex
from shard_tools.store.store import Store
from shard_tools.verify import verify_store
from tests.helpers.commands import error_of
from tests.helpers.damage import column, manifest, reseal
from tests.helpers.photos import built, kaggle


@pytest.fixture
def store(tmp_path: Path) -> Path:
    kaggle(tmp_path / "k", {"1": 6, "2": 4})
    return built(tmp_path / "k", tmp_path / "store")


@pytest.mark.parametrize(
    "name",
    [
        "manifest.json", "classes.parquet", "rejected.csv", "train-000000.tar", "train-000000.idx",
        "index/even/index.json", "index/even/epoch-0000.npy",
        "index/even/epoch-0000/train-000000.idx",
    ],
)  # fmt: skip
def test_a_file_of_a_store_that_is_a_pipe(store: Path, name: str) -> None:
    write_index(store, IndexOptions("balanced", 1, 0, "even"))
    (store / name).unlink()
    os.mkfifo(store / name)
    assert verify_store(store)
    with contextlib.suppress(StoreError):
        show(store, Store.open(store).samples()["key"][0].as_py())
    with contextlib.suppress(StoreError):
        EpochIndex.open(Store.open(store), "even").order(0)


@pytest.mark.parametrize("name", ["/dev/zero", "../elsewhere", ".hidden/x", ""])
def test_a_manifest_that_names_a_file_elsewhere(store: Path, name: str) -> None:
    manifest(store, lambda raw: raw["files"][0].update(name=name))
    with pytest.raises(StoreError, match="is not the name of a file in the store"):
        Store.open(store)


@pytest.mark.parametrize("seal", ["", None, 7, "0" * 32, "x" * 32])
def test_a_manifest_with_an_odd_seal(store: Path, seal: object) -> None:
    raw = json.loads((store / "manifest.json").read_text())
    (store / "manifest.json").write_text(json.dumps(raw | {"xxh128": seal}))
    with pytest.raises(StoreError, match="its digest is not that of its text"):
        Store.open(store)


@pytest.mark.parametrize("key", ["../../evil", "a" * 200, "é", "a\nb", "twice"])
def test_a_store_as_source_with_evil_keys(store: Path, key: str) -> None:
    def change(values: list) -> None:
        values[:2] = [key, key] if key == "twice" else [key, values[1]]

    column(store, "samples", "key", change)
    reseal(store)
    with pytest.raises(
        StoreError, match=r"samples.parquet: \[samples\] (not a key|key in several)"
    ):
        read_source(store)
    assert verify_store(store)


@pytest.mark.parametrize(
    ("name", "value"), [("label", 7), ("label", -1), ("offset", -5), ("size", 0), ("width", 0)]
)
def test_a_store_with_numbers_out_of_range(
    store: Path, tmp_path: Path, name: str, value: int, capsys: pytest.CaptureFixture[str]
) -> None:
    column(store, "samples", name, lambda values: values.__setitem__(0, value))
    reseal(store)
    out = ["--out", str(tmp_path / "x.html")]
    for command in (["stats", str(store)], ["eda", str(store), *out], ["show", str(store), "a"]):
        assert "damaged: " in error_of(command, capsys)
