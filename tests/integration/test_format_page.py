"""docs/format.md is enough to write another reader from: format_reader.py is one."""

from __future__ import annotations

import ast
import json
import re
import shutil
import sys
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import pytest

from shard_tools.sampling.index_files import IndexOptions, write_index
from shard_tools.sources import LAYOUTS, SourceOptions
from tests.conftest import REPOSITORY
from tests.helpers import format_reader
from tests.helpers.format_reader import read_epoch, read_store
from tests.helpers.photos import add_photo, built, kaggle
from tests.helpers.trees import numbered, tree

PAGE = (REPOSITORY / "docs" / "format.md").read_text()


@pytest.fixture(scope="module")
def source(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("page") / "source"
    kaggle(root, {str(100 * number): 2 + number for number in range(11)})
    (root / "landmarks.csv").write_text("landmark_id,name\n300,Köln\n")
    add_photo(root, "stray", b"")
    return root


@pytest.fixture(scope="module")
def store(source: Path) -> Path:
    out = built(source, source.parent / "store", shard_size=13)
    write_index(out, IndexOptions("balanced", 2, 3, "even"))
    return out


def test_the_reader_gives_back_the_source(source: Path, store: Path) -> None:
    read = list(read_store(store))
    lines = (source / "train.csv").read_text().splitlines()[1:]
    labels = dict(line.split(",") for line in lines)
    assert {key: landmark for _, key, _, landmark, _, _ in read} == labels
    order = sorted(set(labels.values()), key=int)
    for split, key, label, landmark, name, photo in read:
        path = source / "train" / key[0] / key[1] / key[2] / f"{key}.jpg"
        assert photo == path.read_bytes()
        assert label == order.index(landmark)
        assert name == ("Köln" if landmark == "300" else None)
        assert split in ("train", "val", "test")


def test_the_reader_finds_the_epochs(store: Path) -> None:
    for epoch in range(2):
        wanted = np.load(store / f"index/even/epoch-{epoch:04d}.npy").tolist()
        assert read_epoch(store, "even", epoch) == wanted


def test_the_reader_refuses_a_damaged_tar(store: Path, tmp_path: Path) -> None:
    for file in store.iterdir():
        if file.is_file():
            (tmp_path / file.name).write_bytes(file.read_bytes())
    tar = tmp_path / "val-000000.tar"
    data = bytearray(tar.read_bytes())
    data[700] ^= 1
    tar.write_bytes(data)
    with pytest.raises(ValueError, match=r"val-000000\.tar is damaged"):
        list(read_store(tmp_path))


@pytest.mark.parametrize(
    "name", ["manifest.json", "classes.parquet", "samples.parquet", "rejected.csv"]
)
def test_the_reader_refuses_a_damaged_small_file(store: Path, tmp_path: Path, name: str) -> None:
    copy = Path(shutil.copytree(store, tmp_path / "copy"))
    data = bytearray((copy / name).read_bytes())
    data[len(data) // 2] ^= 1
    (copy / name).write_bytes(data)
    with pytest.raises(ValueError, match=rf"{name} is damaged|line \d+ column"):
        list(read_store(copy))


@pytest.mark.parametrize("name", ["epoch-0001.npy", "epoch-0001/train-000000.idx"])
def test_the_reader_refuses_a_damaged_index(store: Path, tmp_path: Path, name: str) -> None:
    copy = Path(shutil.copytree(store, tmp_path / "copy"))
    with (copy / "index/even" / name).open("ab") as file:
        file.write(b"\0")
    with pytest.raises(ValueError, match="epoch 1 of even is damaged"):
        read_epoch(copy, "even", 1)


def test_the_reader_is_short_and_shares_no_code() -> None:
    tree = ast.parse(Path(format_reader.__file__).read_text())
    imported = [
        n.name for node in ast.walk(tree) if isinstance(node, ast.Import) for n in node.names
    ]
    imported += [n.module or "" for n in ast.walk(tree) if isinstance(n, ast.ImportFrom)]
    assert {name.split(".")[0] for name in imported} <= {
        *sys.stdlib_module_names,
        "pyarrow",
        "xxhash",
    }
    reader = next(n for n in tree.body if isinstance(n, ast.FunctionDef) and n.name == "read_store")
    assert (reader.end_lineno or 0) - reader.lineno < 40


def test_the_page_names_what_rare_options_add(tmp_path: Path) -> None:
    paths = numbered("a", "b", photos=6)
    root, table = tree(tmp_path / "p", paths), tmp_path / "t.csv"
    rows = [f"{path},{path[0]},u{n // 2},1" for n, path in enumerate(paths)]
    table.write_text("\n".join(["img,label,user,year", *rows]) + "\n")
    columns = (("path", "img"),)
    how = SourceOptions(columns=columns, root=root, group_by="user", carry=("year",))
    one = built(table, tmp_path / "one", reading=how, only_classes=("a", "b"))
    more = {"classes_of": one, "splits": (0.0, 0.0, 1.0), "exclude_classes": ("b",)}
    two = built(root, tmp_path / "two", reading=SourceOptions(classes="path"), **more)
    for out in (one, two):
        manifest = json.loads((out / "manifest.json").read_text())
        names = {*manifest["options"], *manifest["notes"], manifest["source"]["kind"]}
        assert [name for name in sorted(names) if f"`{name}`" not in PAGE] == []
    assert all(f"`{name}`" in PAGE for name in LAYOUTS)


def test_the_page_names_everything_that_is_there(store: Path) -> None:
    manifest = json.loads((store / "manifest.json").read_text())
    index = json.loads((store / "index/even/index.json").read_text())
    names = {*manifest, *manifest["options"], *manifest["counts"], *manifest["notes"]}
    names |= {*manifest["source"], *manifest["shards"][0], *index, *index["epochs"][0]}
    names |= set(manifest["files"][0])
    for table in ("classes", "samples"):
        names |= set(pq.read_schema(store / f"{table}.parquet").names)
    missing = sorted(name for name in names if f"`{name}`" not in PAGE)
    assert missing == []
    assert (store / "rejected.csv").read_text().splitlines()[0].replace('"', "") in PAGE
    files = {re.sub(r"\d{6}", "000000", file.name) for file in store.iterdir() if file.is_file()}
    known = {re.sub("val|test", "train", name) for name in files}
    assert [name for name in sorted(known) if name not in PAGE] == []
