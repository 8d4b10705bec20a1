"""The cache of remote shards: failures, latency, truncation, damage, limits, several processes."""

from __future__ import annotations

import io
import multiprocessing
import os
import threading
import time
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, cast

import numpy as np
import pytest
import torch

from glr_fast.data import Batch, Store, StoreError
from glr_fast.data.loader import Loader
from glr_fast.data.shard_cache import ShardCache
from tests.helpers.loaders import opened


@dataclass
class Flaky:
    """A folder that behaves like an object store on a bad day. Stands where a ``UPath`` would."""

    folder: Path
    failures: int = 0
    """Reads of shards that fail before they succeed."""
    truncate: int = 0
    """Reads of shards that end early before they are whole."""
    damage: int = 0
    """Reads of shards with a flipped byte before they are right."""
    latency_s: float = 0.0
    reads: list[str] = field(default_factory=list)
    lock: Any = field(default_factory=threading.Lock)

    def __truediv__(self, name: str) -> Any:
        return FlakyFile(self, name) if name.endswith(".tar") else self.folder / name


@dataclass
class FlakyFile:
    """One of its shards."""

    store: Flaky
    name: str

    def __str__(self) -> str:
        return f"s3://bucket/{self.name}"

    def open(self, _mode: str) -> io.BytesIO:
        time.sleep(self.store.latency_s)
        data = (self.store.folder / self.name).read_bytes()
        with self.store.lock:
            self.store.reads.append(self.name)
            if self.store.failures:
                self.store.failures -= 1
                raise ConnectionError("connection reset by peer")
            if self.store.truncate:
                self.store.truncate -= 1
                return io.BytesIO(data[: len(data) // 2])
            if self.store.damage:
                self.store.damage -= 1
                return io.BytesIO(bytes([data[0] ^ 1]) + data[1:])
        return io.BytesIO(data)


def remote(store: Path, **trouble: Any) -> tuple[Store, Flaky]:
    place = Flaky(store, **trouble)
    return replace(Store.open(store), path=cast(Path, place)), place


def cache_of(store: Path, folder: Path, limit: int = 2**40, **trouble: Any) -> tuple[Any, Flaky]:
    opened, place = remote(store, **trouble)
    return ShardCache(opened, folder, limit, first_pause_s=0.01), place


SHARD = "train-000000.tar"


@pytest.mark.parametrize("trouble", [{"failures": 3}, {"truncate": 3}, {"damage": 3}])
def test_what_fails_is_tried_again(store: Path, tmp_path: Path, trouble: dict[str, int]) -> None:
    cache, place = cache_of(store, tmp_path, **trouble)
    assert cache.path(SHARD).read_bytes() == (store / SHARD).read_bytes()
    assert len(place.reads) == 4
    assert cache.path(SHARD)
    assert len(place.reads) == 4  # it is there now
    cache.close()
    assert [f.name for f in cache.folder.iterdir() if f.suffix == ".part"] == []


@pytest.mark.parametrize(
    ("trouble", "cause"),
    [
        ({"failures": 99}, "connection reset by peer"),
        ({"truncate": 99}, "bytes arrived of"),
        ({"damage": 99}, "another sha256"),
    ],
)
def test_what_stays_broken_is_said_and_leaves_nothing(
    store: Path, tmp_path: Path, trouble: dict[str, int], cause: str
) -> None:
    cache, _ = cache_of(store, tmp_path, **trouble)
    with pytest.raises(StoreError, match=rf"{SHARD}: cannot be fetched, 6 tries \(.*{cause}"):
        cache.path(SHARD)
    cache.close()
    assert [f.name for f in cache.folder.iterdir() if not f.name.endswith(".lock")] == []


def test_the_limit_removes_what_was_used_longest_ago(store: Path, tmp_path: Path) -> None:
    shards = [info for info in Store.open(store).manifest.shards if info.split == "train"]
    limit = shards[0].bytes + shards[1].bytes + shards[2].bytes // 2
    cache, place = cache_of(store, tmp_path, limit)
    for age, info in enumerate(shards[:2]):
        os.utime(cache.path(info.name), ns=(age, age))
    cache.path(shards[0].name)  # used again: now the second one is the oldest
    cache.path(shards[2].name)
    assert {f.name for f in cache.folder.glob("*.tar")} == {shards[0].name, shards[2].name}
    assert cache.path(shards[1].name).is_file()  # fetched again
    assert place.reads.count(shards[1].name) == 2
    cache.close()


def test_expected_shards_are_fetched_ahead(store: Path, tmp_path: Path) -> None:
    cache, _ = cache_of(store, tmp_path, latency_s=0.3)
    names = [info.name for info in Store.open(store).manifest.shards[:3]]
    started = time.monotonic()
    for name in names:
        cache.expect(name)
    assert time.monotonic() - started < 0.1
    for name in names:
        cache.path(name)
    assert time.monotonic() - started < 0.8  # side by side, not one after the other
    cache.close()


def _fetch_in_process(store: Path, folder: Path, start: Any, count: Any) -> None:
    cache, place = cache_of(store, folder, latency_s=0.2)
    start.wait()
    cache.path(SHARD)
    with count.get_lock():
        count.value += len(place.reads)
    cache.close()


def test_processes_of_a_machine_fetch_a_shard_once(store: Path, tmp_path: Path) -> None:
    context = multiprocessing.get_context("fork")
    start, count = context.Event(), context.Value("i", 0)
    arguments = (store, tmp_path, start, count)
    workers = [context.Process(target=_fetch_in_process, args=arguments) for _ in range(3)]
    for worker in workers:
        worker.start()
    start.set()
    for worker in workers:
        worker.join(30)
        assert worker.exitcode == 0
    assert count.value == 1


def _loader(store: Store | Path, **options: Any) -> Loader:
    return opened(store, "train", batch_size=16, image_size=32, backend="cpu", threads=1, **options)


@pytest.mark.parametrize("window", [0, 1])
def test_training_from_a_remote_store_gives_the_same_batches(
    store: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, window: int
) -> None:
    monkeypatch.setattr(Store, "remote", property(lambda s: isinstance(s.path, Flaky)))
    monkeypatch.setattr("glr_fast.data.shard_cache._FIRST_PAUSE_S", 0.01)
    far, place = remote(store, failures=2, truncate=1)
    with (
        _loader(store, shuffle_window=window) as near_loader,
        _loader(far, shuffle_window=window, cache=tmp_path) as far_loader,
    ):
        stream = far_loader.stream()
        first = next(stream)
        if window:  # one shard at a time: the rest has not been needed yet
            assert len(set(place.reads)) < 5
        batches: list[Batch] = [first, *(next(stream) for _ in range(6))]
        for ours, theirs in zip(batches, near_loader.stream(), strict=False):
            np.testing.assert_array_equal(ours.rows, theirs.rows)
            assert torch.equal(ours.images, theirs.images)


def test_a_store_that_is_gone_ends_the_run_with_a_word(
    store: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Store, "remote", property(lambda s: isinstance(s.path, Flaky)))
    monkeypatch.setattr("glr_fast.data.shard_cache._TRIES", 2)
    far, _ = remote(store, failures=999)
    with (
        _loader(far, cache=tmp_path) as loader,
        pytest.raises(StoreError, match="cannot be fetched, 2 tries"),
    ):
        next(loader.stream())
