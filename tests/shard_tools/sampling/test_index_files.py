"""Class-balanced index files: orders, DALI indexes over the unchanged tars, and what DALI draws."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from shard_tools.errors import StoreError
from shard_tools.sampling.index_files import IndexOptions, write_index
from shard_tools.sampling.orders import epoch_order
from shard_tools.store.shard import IndexEntry, dali_index
from shard_tools.store.store import Store
from tests.helpers.photos import built, kaggle


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> Store:
    root = tmp_path_factory.mktemp("indexed")
    kaggle(root / "source", {"1": 40, "2": 10, "3": 2, "4": 1})
    return Store.open(built(root / "source", root / "store", shard_size=6))


@pytest.fixture(scope="module")
def index(store: Store) -> Path:
    options = IndexOptions(policy="balanced", epochs=3, seed=5, name="even")
    assert "3 epochs of" in write_index(store.path, options)
    return store.path / "index" / "even"


def drawn(index: Path, epoch: dict) -> list[str]:
    """Keys of the index files of an epoch, in order; checks every line."""
    keys = []
    for shard, file in zip(epoch["shards"], epoch["indexes"], strict=True):
        tar = (index / shard).read_bytes()
        head, *lines = (index / file).read_text().splitlines()
        assert head == f"v1.2 {len(lines)}"
        assert lines
        for line in lines:
            jpg, offset, size, name, cls, at, length, label = line.split()
            assert (jpg, cls) == ("jpg", "cls")
            assert tar[int(offset) :][:3] == b"\xff\xd8\xff"
            assert tar[int(offset) + int(size) - 2 :][:2] == b"\xff\xd9"
            assert tar[int(at) :][: int(length)].isdigit()
            assert label == name.replace(".jpg", ".cls")
            keys.append(name.removesuffix(".jpg"))
    return keys


def test_orders_and_indexes_agree(store: Store, index: Path) -> None:
    described = json.loads((index / "index.json").read_text())
    assert described["policy"] == "balanced"
    assert (described["seed"], described["split"], described["version"]) == (5, "train", 2)
    samples = store.samples()
    keys, shards = samples["key"].to_pylist(), samples["shard"].to_pylist()
    labels = samples["label"].to_numpy()[: len(store.split_rows("train"))]
    assert len(described["epochs"]) == 3
    for number, epoch in enumerate(described["epochs"]):
        rows = np.load(index / epoch["order"])
        assert rows.dtype == np.int64
        assert (rows == epoch_order(labels, "balanced", 5, number)).all()
        names = [Path(shard).name for shard in epoch["shards"]]
        by_shard = [keys[row] for name in names for row in rows if shards[row] == name]
        assert drawn(index, epoch) == by_shard
        uses = np.bincount(labels[rows])
        assert uses.max() - uses.min() <= 1


def test_lines_are_those_of_the_format(
    store: Store, index: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Made by columns, in chunks of any size, they are what the format makes one by one."""
    samples = store.samples(["key", "label", "shard", "offset", "size"]).to_pylist()
    monkeypatch.setattr("shard_tools.sampling.index_files._CHUNK", 11)
    write_index(store.path, IndexOptions("balanced", 2, 5, "chunks"))
    for number in range(2):
        rows = np.load(index / f"epoch-{number:04d}.npy")
        for file in (index / f"epoch-{number:04d}").iterdir():
            drawn = [samples[r] for r in rows if samples[r]["shard"] == f"{file.stem}.tar"]
            entries = [IndexEntry.of_sample(s["key"], s["offset"], s["size"], 1) for s in drawn]
            assert file.read_text() == dali_index(entries)
            chunked = store.path / "index" / "chunks" / file.parent.name / file.name
            assert chunked.read_bytes() == file.read_bytes()


def test_shards_without_draws_are_left_out(store: Store, index: Path) -> None:
    described = json.loads((index / "index.json").read_text())
    listed = [set(epoch["shards"]) for epoch in described["epochs"]]
    files = [{path.stem for path in (index / f"epoch-{e:04d}").iterdir()} for e in range(3)]
    assert [{Path(shard).stem for shard in shards} for shards in listed] == files


def test_a_later_split_counts_from_its_first_row(store: Store) -> None:
    write_index(store.path, IndexOptions("natural", 1, 0, "test-set", "test"))
    rows = np.load(store.path / "index" / "test-set" / "epoch-0000.npy")
    assert sorted(rows) == list(store.split_rows("test"))


def test_dali_draws_exactly_these(store: Store, index: Path) -> None:
    pytest.importorskip("nvidia.dali", reason="DALI is not installed")
    from nvidia import dali  # its stubs know neither the decorator nor CPU-only pipelines

    epoch = json.loads((index / "index.json").read_text())["epochs"][1]

    tools: Any = dali

    @tools.pipeline_def(batch_size=1, num_threads=1, device_id=None)
    def pipeline():
        _, label = tools.fn.readers.webdataset(
            paths=[str(index / shard) for shard in epoch["shards"]],
            index_paths=[str(index / file) for file in epoch["indexes"]],
            ext=["jpg", "cls"],
            missing_component_behavior="error",
        )
        return label

    pipe = pipeline()
    pipe.build()
    rows = np.load(index / epoch["order"])
    samples = store.samples(["label", "shard"])
    labels, shards = samples["label"].to_numpy(), np.array(samples["shard"].to_pylist())
    wanted = [
        labels[row] for shard in sorted(set(shards[rows])) for row in rows[shards[rows] == shard]
    ]
    got = [int(bytes(pipe.run()[0].as_array()[0])) for _ in rows]
    assert got == wanted


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"policy": "fair"}, "unknown sampling policy 'fair'; there are natural, balanced"),
        ({"epochs": 0}, "--epochs is 0"),
        ({"seed": -1}, "--seed is -1"),
        ({"name": "../x"}, "letters, digits"),
        ({"split": "dev"}, "'dev' is unknown"),
        ({"name": "even"}, "already there"),
    ],
)
def test_user_errors(store: Store, index: Path, change: dict, message: str) -> None:
    options = {"policy": "balanced", "epochs": 1, "seed": 0, "name": "new"} | change
    with pytest.raises(StoreError, match=message):
        write_index(store.path, IndexOptions(**options))
    assert not (store.path / "index" / "new").exists()
