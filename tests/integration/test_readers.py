"""Stores as other programs read them: the same keys, labels and bytes, in the same order.

webdataset and DALI come with ``make test``. The others (extra ``readers``) want libraries of other
versions; an environment that borrows ours, and adds them, is made like this::

    python3 -m venv /tmp/readers
    ours=$PWD/.venv/lib/python3.11/site-packages
    echo $ours > /tmp/readers/lib/python3.11/site-packages/ours.pth
    /tmp/readers/bin/pip install datasets megatron-energon
    /tmp/readers/bin/python -m pytest tests/integration/test_readers.py
"""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from shard_tools.sampling.index_files import IndexOptions, write_index
from shard_tools.store.layout import SPLITS
from shard_tools.store.store import Store
from shard_tools.verify.verifier import verify_store
from tests.helpers.photos import built, kaggle

Sample = tuple[str, int, bytes]


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("readers")
    kaggle(root / "source", {str(number): 2 + number for number in range(11)})  # labels 00 to 10
    return built(root / "source", root / "store", shard_size=13)


def tars(store: Path, split: str) -> list[str]:
    shards = Store.open(store).manifest.shards
    return [str(store / shard.name) for shard in shards if shard.split == split]


def samples(store: Path, split: str) -> list[Sample]:
    """Keys, labels and photos of a split, from the samples table."""
    opened = Store.open(store)
    rows = opened.split_rows(split)
    table = opened.samples().slice(rows.start, len(rows)).to_pylist()
    content = {name: Path(name).read_bytes() for name in tars(store, split)}
    return [
        (
            row["key"],
            row["label"],
            content[str(store / row["shard"])][row["offset"] :][: row["size"]],
        )
        for row in table
    ]


@pytest.mark.parametrize("split", SPLITS)
def test_webdataset(store: Path, split: str) -> None:
    webdataset = pytest.importorskip("webdataset", reason="webdataset is not installed")
    photos = webdataset.WebDataset(tars(store, split), shardshuffle=False)
    read = [(photo["__key__"], int(photo["cls"]), photo["jpg"]) for photo in photos]
    assert read == samples(store, split)


def test_webdataset_decodes(store: Path) -> None:
    webdataset = pytest.importorskip("webdataset", reason="webdataset is not installed")
    photos = webdataset.WebDataset(tars(store, "train"), shardshuffle=False).decode("rgb8")
    read = list(photos.to_tuple("jpg", "cls"))
    assert [label for _, label in read] == [label for _, label, _ in samples(store, "train")]
    assert {photo.shape for photo, _ in read} == {(32, 48, 3)}


def test_hugging_face_datasets(
    store: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    datasets = pytest.importorskip(
        "datasets", reason="Hugging Face datasets is not installed (extra readers)"
    )
    files = {split: tars(store, split) for split in SPLITS}
    loaded = datasets.load_dataset("webdataset", data_files=files, cache_dir=str(tmp_path))
    for split in SPLITS:
        raw = loaded[split].cast_column("jpg", datasets.Image(decode=False))
        read = [(row["__key__"], row["cls"], row["jpg"]["bytes"]) for row in raw]
        assert read == samples(store, split)
    assert loaded["train"][0]["jpg"].size == (48, 32)


def test_megatron_energon(store: Path, tmp_path: Path) -> None:
    energon = pytest.importorskip(
        "megatron.energon", reason="Megatron-Energon is not installed (extra readers)"
    )
    copy = Path(shutil.copytree(store, tmp_path / "store"))  # it writes its own index beside ours
    prepare(copy)

    class Raw(energon.DefaultTaskEncoder):
        decoder = None

    for split in SPLITS:
        worker = energon.WorkerConfig(rank=0, world_size=1, num_workers=0)
        data = energon.get_val_dataset(
            copy, split_part=split, worker_config=worker, batch_size=None, task_encoder=Raw()
        )
        read = [(s.__key__, int(s.label), s.image) for s in energon.get_loader(data)]
        assert read == samples(store, split)
    assert verify_store(copy) == []  # what it wrote is not taken for damage


def prepare(store: Path) -> None:
    parts = [("--split-parts", rf"{split}:{split}-.*\.tar") for split in SPLITS]
    fields = json.dumps({"image": "jpg", "label": "cls"})
    subprocess.run(
        [
            *(str(Path(sys.executable).with_name("energon")), "prepare", str(store)),
            *("--non-interactive", "--no-progress", "--num-workers", "1"),
            *(word for part in parts for word in part),
            *("--sample-type", "ImageClassificationSample", "--field-map", fields),
        ],
        check=True,
        capture_output=True,
    )


def read_with_dali(paths: list[str], indexes: list[str], count: int) -> list[tuple[int, bytes]]:
    """Labels and photos as DALI's own reader gives them, in its order."""
    dali: Any = pytest.importorskip("nvidia.dali", reason="DALI is not installed")

    @dali.pipeline_def(batch_size=4, num_threads=1, device_id=None)
    def pipeline():
        return tuple(
            dali.fn.readers.webdataset(
                paths=paths,
                index_paths=indexes,
                ext=["cls", "jpg"],
                missing_component_behavior="error",
            )
        )

    pipe = pipeline()
    pipe.build()
    read: list[tuple[int, bytes]] = []
    while len(read) < count:
        labels, photos = (part.as_cpu() for part in pipe.run())
        for place in range(len(labels)):
            label, photo = np.asarray(labels[place]), np.asarray(photos[place])
            read.append((int(label.tobytes()), photo.tobytes()))
    return read[:count]


@pytest.mark.parametrize("split", SPLITS)
def test_dali(store: Path, split: str) -> None:
    wanted = [(label, photo) for _, label, photo in samples(store, split)]
    names = tars(store, split)
    indexes = [name.removesuffix(".tar") + ".idx" for name in names]
    assert read_with_dali(names, indexes, len(wanted)) == wanted


def test_dali_over_an_index_of_a_policy(store: Path) -> None:
    """A balanced epoch with nothing of ours but files: each photo as often as the order says."""
    write_index(store, IndexOptions("balanced", 1, 3, "even"))
    folder = store / "index" / "even"
    (epoch,) = json.loads((folder / "index.json").read_text())["epochs"]
    order = np.load(folder / epoch["order"])
    table = Store.open(store).samples(["shard"])["shard"].to_pylist()
    every = samples(store, "train")
    by_shard = [
        every[row][1:]
        for shard in epoch["shards"]
        for row in order
        if table[row] == Path(shard).name
    ]
    assert len(by_shard) == len(order)
    read = read_with_dali(
        [str(folder / shard) for shard in epoch["shards"]],
        [str(folder / file) for file in epoch["indexes"]],
        len(order),
    )
    assert read == by_shard
    uses = np.bincount([label for label, _ in read], minlength=11)
    assert uses.max() - uses.min() <= 1
