"""Builds into an object store and on a Ray cluster: the bytes are those of a build on this disk."""

from __future__ import annotations

import filecmp
import os
import signal
from collections.abc import Iterator
from pathlib import Path

import pytest

import shard_tools.build.packing
from shard_tools import cli
from shard_tools.build.builder import BuildInterruptedError, build_store
from shard_tools.build.options import BuildOptions
from shard_tools.build.shard_writer import PackTask, pack_shard
from shard_tools.errors import StoreError
from shard_tools.files.remote import RemoteError, location, sizes
from shard_tools.sampling.index_files import IndexOptions, write_index
from shard_tools.store.store import Store
from shard_tools.workers.executor import Executor
from tests.helpers.object_store import fetched, s3_server
from tests.helpers.photos import built, kaggle
from tests.helpers.stores import same

SHARD_SIZE = 8


@pytest.fixture(scope="module")
def source(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("remote")
    kaggle(root, {"1": 30, "2": 15, "3": 4, "4": 1})
    return root


@pytest.fixture(scope="module")
def whole(source: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return built(source, tmp_path_factory.mktemp("whole") / "store", shard_size=SHARD_SIZE)


@pytest.fixture(scope="module")
def bucket() -> Iterator[str]:
    with s3_server("builds") as url:
        yield url


def test_a_store_in_s3_is_the_store_on_disk(
    source: Path, whole: Path, bucket: str, tmp_path: Path
) -> None:
    url = f"{bucket}/nested/store"
    line = ["build", "--source", str(source), "--out", url, "--shard-size", str(SHARD_SIZE)]
    assert cli.main([*line, "--workers", "2"]) == 0
    assert same(fetched(url, tmp_path / "copy"), whole)
    store, local = Store.open(url), Store.open(whole)
    assert store.manifest == local.manifest
    assert store.samples() == local.samples()
    assert store.classes() == local.classes()
    assert cli.main([*line, "--workers", "2"]) == 2  # it holds a finished store


def test_index_files_of_a_store_in_s3(source: Path, bucket: str, tmp_path: Path) -> None:
    url, local = f"{bucket}/indexed", tmp_path / "local"
    for out in (location(url), local):
        built(source, out, shard_size=SHARD_SIZE)
        write_index(out, IndexOptions("balanced", 2, 0, "even"))
    copy = fetched(f"{url}/index/even", tmp_path / "copy")
    mine = local / "index" / "even"
    names = sorted(str(path.relative_to(mine)) for path in mine.rglob("*") if path.is_file())
    assert len(names) > 4
    assert filecmp.cmpfiles(copy, mine, names, shallow=False)[0] == names
    assert len([path for path in copy.rglob("*") if path.is_file()]) == len(names)
    with pytest.raises(StoreError, match="already there"):
        write_index(location(url), IndexOptions("balanced", 2, 0, "even"))
    assert cli.main(["verify", url]) == 0


def test_an_interrupted_build_into_s3_goes_on(
    source: Path, whole: Path, bucket: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    out = location(f"{bucket}/interrupted")
    packed: list[str] = []

    def stops(task: PackTask, advance):
        if len(packed) == 3:
            raise KeyboardInterrupt
        packed.append(task.name)
        return pack_shard(task, advance)

    with monkeypatch.context() as patch:
        patch.setattr(shard_tools.build.packing, "pack_shard", stops)
        with pytest.raises(BuildInterruptedError, match=r"3 of \d+ shards are done"):
            built(source, out, shard_size=SHARD_SIZE)
    with pytest.raises(StoreError, match="not a finished store"):
        Store.open(out)
    (out / packed[0]).unlink()
    again: list[str] = []

    def counts(task: PackTask, advance):
        again.append(task.name)
        return pack_shard(task, advance)

    with monkeypatch.context() as patch:
        patch.setattr(shard_tools.build.packing, "pack_shard", counts)
        built(source, out, shard_size=SHARD_SIZE)
    assert set(again).isdisjoint(packed[1:])
    assert packed[0] in again
    assert same(fetched(str(out), tmp_path / "copy"), whole)


def test_an_object_store_that_refuses_is_one_clear_error(source: Path, bucket: str) -> None:
    with pytest.raises(StoreError, match=r"s3://no-such-bucket/store"):
        built(source, location("s3://no-such-bucket/store"))
    with pytest.raises(RemoteError, match="cannot be used"):
        location("nowhere://bucket/store")


def lethal(task: PackTask, advance) -> object:
    """Packs a shard; but the first worker that is given one dies."""
    marker = Path(task.reader.root) / "died"  # type: ignore[attr-defined]
    if not marker.exists():
        marker.touch()
        os.kill(os.getpid(), signal.SIGKILL)
    return pack_shard(task, advance)


@pytest.mark.slow
def test_a_build_on_ray_is_the_build_here(
    source: Path, whole: Path, bucket: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    ray = pytest.importorskip("ray", reason="Ray is not installed (extra cluster)")
    monkeypatch.delenv("RAY_ADDRESS", raising=False)
    out = location(f"{bucket}/ray")
    options = BuildOptions(source=source, out=out, shard_size=SHARD_SIZE)
    with monkeypatch.context() as patch:  # Ray gives the task of the dead worker to another one
        patch.setattr(shard_tools.build.packing, "pack_shard", lethal)
        build_store(options, Executor(2, "ray"), progress=False)
    ray.shutdown()
    (source / "train" / "died").unlink()
    assert same(fetched(str(out), tmp_path / "copy"), whole)
    assert not sizes(out / ".building")


def test_no_cluster_is_one_clear_error(source: Path, tmp_path: Path) -> None:
    pytest.importorskip("ray", reason="Ray is not installed (extra cluster)")
    options = BuildOptions(source=source, out=tmp_path / "store", shard_size=SHARD_SIZE)
    with pytest.raises(StoreError, match=r"--ray-address 127.0.0.1:1: no Ray cluster reached"):
        build_store(options, Executor(1, "ray", "127.0.0.1:1"), progress=False)


def test_user_errors() -> None:
    with pytest.raises(StoreError, match="'slurm' is unknown; give local or ray"):
        Executor(1, "slurm")
    with pytest.raises(StoreError, match="without --executor ray"):
        Executor(1, "local", "auto")
