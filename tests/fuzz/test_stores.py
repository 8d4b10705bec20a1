"""Damaged stores: every flipped byte is found, and no command meets one with a traceback."""

from __future__ import annotations

import json
import random
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from shard_tools.build.repair import repair_store
from shard_tools.cli.show import show
from shard_tools.errors import StoreError
from shard_tools.report import collect
from shard_tools.report.survey import take_survey
from shard_tools.sampling import IndexOptions, write_index
from shard_tools.sources import SourceOptions, read_source
from shard_tools.store import EpochIndex, Store
from shard_tools.store.seal import seal
from shard_tools.verify import verify_store
from tests.fuzz.loop import fuzz
from tests.fuzz.test_bytes import mutated
from tests.helpers.damage import reseal
from tests.helpers.photos import built, kaggle

TABLES = ("samples.parquet", "classes.parquet")
PAST = [7475501]
VALUES: list[Any] = [
    None,
    -1,
    0,
    1,
    2**40,
    "",
    "x",
    "../x.tar",
    "test",
    True,
    [],
    {},
    1.5,
    "9" * 50,
]


@pytest.fixture(scope="module")
def whole() -> Iterator[Path]:
    with tempfile.TemporaryDirectory(prefix="fuzz-") as folder:
        root = Path(folder)
        kaggle(root / "source", {"1": 12, "2": 6, "3": 3})
        next((root / "source/train").rglob("*.jpg")).write_bytes(b"")
        store = built(root / "source", root / "store", shard_size=6)
        write_index(store, IndexOptions("balanced", 2, 0, "even"))
        yield store


def small_files(store: Path) -> list[Path]:
    """All but the tars, which only ``verify`` reads whole."""
    files = (path for path in store.rglob("*") if path.is_file() and path.suffix != ".tar")
    return sorted(files)


def open_all(store: Path) -> None:
    """What a training opens."""
    opened = Store.open(store)
    opened.samples()
    opened.classes()
    index = EpochIndex.open(opened, "even", "train")
    for epoch in range(2):
        index.order(epoch)


def test_every_flipped_byte_is_found(whole: Path) -> None:
    """200 bytes, over all small files: by ``verify`` always, by opening all but DALI's indexes."""
    rng = random.Random(20261124)
    files = small_files(whole)
    assert verify_store(whole) == []
    for number in range(200):
        file = files[number % len(files)]
        before = file.read_bytes()
        if not before:
            continue
        data = bytearray(before)
        data[rng.randrange(len(data))] ^= rng.randrange(1, 256)
        try:
            file.write_bytes(data)
            assert verify_store(whole), file
            if file.suffix != ".idx":
                with pytest.raises(StoreError):
                    open_all(whole)
        finally:
            file.write_bytes(before)


def look_at(store: Path, key: str, source: Path) -> None:
    """Every command that opens a store; each may refuse it in one line, and nothing else."""
    verify_store(store)
    looks = (
        lambda: show(store, key),
        lambda: show(store, "train-000000"),
        lambda: collect(store, SourceOptions(), 3),
        lambda: take_survey(store, 5),
        lambda: write_index(store, IndexOptions("balanced", 1, 0, "new")),
        lambda: read_source(store),
        lambda: open_all(store),
        lambda: repair_store(store, source, SourceOptions(), progress=False),
    )
    for look in looks:
        try:
            look()
        except StoreError:
            continue
        finally:
            shutil.rmtree(store / "index/new", ignore_errors=True)


def test_mutated_stores(whole: Path) -> None:
    key = Store.open(whole).samples()["key"][0].as_py()

    def case(rng: random.Random) -> None:
        with tempfile.TemporaryDirectory(prefix="fuzz-") as folder:
            store = Path(shutil.copytree(whole, Path(folder) / "store"))
            for _ in range(rng.randint(1, 2)):
                rng.choice([_bytes, _manifest, _table, _gone, _index])(rng, store)
            if rng.random() < 0.6:  # a stranger's store has digests that are right
                try:
                    reseal(store)
                except (OSError, ValueError, KeyError, TypeError, AttributeError):
                    return
            look_at(store, key, whole.parent / "source")

    fuzz(case, PAST)


def _bytes(rng: random.Random, store: Path) -> None:
    file = rng.choice([*small_files(store), *store.glob("*.tar")])
    file.write_bytes(mutated(rng, file.read_bytes()))


def _gone(rng: random.Random, store: Path) -> None:
    file = rng.choice([path for path in store.rglob("*") if path.is_file()])
    file.unlink()
    if rng.random() < 0.3:
        file.mkdir()


def _changed(rng: random.Random, raw: Any) -> Any:
    """A JSON value with one thing in it changed."""
    if isinstance(raw, dict) and raw and rng.random() < 0.9:
        name = rng.choice(list(raw))
        if rng.random() < 0.15:
            return {key: value for key, value in raw.items() if key != name}
        return {**raw, name: _changed(rng, raw[name])}
    if isinstance(raw, list) and raw and rng.random() < 0.9:
        place = rng.randrange(len(raw))
        if rng.random() < 0.3:
            return rng.choice([raw[:place], raw + raw[place:], raw[::-1]])
        return [*raw[:place], _changed(rng, raw[place]), *raw[place + 1 :]]
    return rng.choice(VALUES)


def _manifest(rng: random.Random, store: Path) -> None:
    _json(rng, store / "manifest.json")


def _index(rng: random.Random, store: Path) -> None:
    _json(rng, store / "index/even/index.json")


def _json(rng: random.Random, file: Path) -> None:
    try:
        raw = _changed(rng, json.loads(file.read_bytes()))
    except (OSError, ValueError):
        return
    file.write_text(seal(raw) if isinstance(raw, dict) else json.dumps(raw))


def _table(rng: random.Random, store: Path) -> None:
    file = store / rng.choice(TABLES)
    try:
        table = pq.read_table(file)
        name = rng.choice(table.column_names)
        place = table.column_names.index(name)
        kind = rng.randrange(5)
        if kind == 0:
            table = table.drop_columns([name])
        elif kind == 1:
            table = table.slice(rng.randint(0, 3), rng.randint(0, len(table)))
        elif kind == 2:
            table = table.take(np.array([rng.randrange(len(table)) for _ in range(len(table))]))
        elif kind == 3:
            table = table.set_column(
                place, name, pa.nulls(len(table), table.schema.field(name).type)
            )
        else:
            values = table[name].to_pylist()
            values[rng.randrange(len(values))] = rng.choice(VALUES)
            table = table.set_column(place, name, pa.array(values, table.schema.field(name).type))
        pq.write_table(table, file)
    except (pa.ArrowException, OSError, ValueError, TypeError, IndexError, OverflowError):
        return
