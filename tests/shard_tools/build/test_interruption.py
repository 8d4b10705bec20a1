"""Builds that are interrupted, go on, or meet each other: the store is the same, or refused."""

from __future__ import annotations

import errno
import json
from pathlib import Path

import pytest

import shard_tools.build.packing
import shard_tools.build.shard_writer
from shard_tools.build.builder import BuildInterruptedError
from shard_tools.build.work_folder import claimed
from shard_tools.errors import StoreError
from shard_tools.store.layout import FORMAT_VERSION
from shard_tools.store.store import Store
from tests.helpers.photos import built
from tests.helpers.stores import same


def interrupted_after(monkeypatch: pytest.MonkeyPatch, shards: int, error: BaseException) -> None:
    """Let the build stop with ``error`` after some shards."""
    pack, count = shard_tools.build.shard_writer.pack_shard, iter(range(1000))

    def stops(task, advance):
        if next(count) == shards:
            raise error
        return pack(task, advance)

    monkeypatch.setattr(shard_tools.build.packing, "pack_shard", stops)


def unfinished(source: Path, out: Path, monkeypatch: pytest.MonkeyPatch, shards: int) -> None:
    """A build that was interrupted after some shards."""
    with monkeypatch.context() as patch:
        interrupted_after(patch, shards, KeyboardInterrupt())
        with pytest.raises(BuildInterruptedError):
            built(source, out, shard_size=8)


def test_an_interrupted_build_goes_on(
    source: Path, store: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    out = tmp_path / "store"
    with monkeypatch.context() as patch:
        interrupted_after(patch, 3, KeyboardInterrupt())
        with pytest.raises(BuildInterruptedError, match=r"3 of 6 shards .* again to go on"):
            built(source, out, shard_size=8)
    with pytest.raises(StoreError, match="not a finished store"):
        Store.open(out)
    before = {path: path.stat().st_mtime_ns for path in out.glob("*.tar")}
    assert len(before) == 3
    (out / ".train-000009.tar.1.tmp").touch()  # what a killed build leaves
    built(source, out, shard_size=8)
    assert same(out, store)
    assert {path: path.stat().st_mtime_ns for path in before} == before


@pytest.mark.parametrize("change", [{"seed": 1}, {"quality": 80}, {"splits": (0.8, 0.1, 0.1)}])
def test_an_unfinished_build_of_another_plan_is_refused(
    source: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, change: dict
) -> None:
    unfinished(source, tmp_path / "store", monkeypatch, 1)
    with pytest.raises(StoreError, match="unfinished build of another source or other options"):
        built(source, tmp_path / "store", shard_size=8, **change)


@pytest.mark.parametrize("version", [None, FORMAT_VERSION + 1])
def test_an_unfinished_build_of_another_version_is_refused_at_once(
    source: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, version: int | None
) -> None:
    """The first version did not write its number."""
    out = tmp_path / "store"
    unfinished(source, out, monkeypatch, 1)
    file = out / ".building" / "plan.json"
    plan = json.loads(file.read_text())
    del plan["version"]
    file.write_text(json.dumps(plan if version is None else {"version": version, **plan}))
    monkeypatch.setattr("shard_tools.build.builder.read_source", None)  # nothing is looked at
    with pytest.raises(
        StoreError, match=rf"another version .* format {version or 1}, .* writes {FORMAT_VERSION}"
    ):
        built(source, out, shard_size=8)


@pytest.mark.parametrize("damage", ["tar", "idx", "byte", "record"])
def test_a_shard_that_went_missing_is_packed_again(
    source: Path, store: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, damage: str
) -> None:
    unfinished(source, tmp_path / "store", monkeypatch, 2)
    names = {"byte": "*.tar", "record": ".building/*.parquet"}
    file = next((tmp_path / "store").glob(names.get(damage, f"*.{damage}")))
    if damage == "tar":
        file.write_bytes(file.read_bytes()[:-512])
    elif damage == "record":
        file.write_bytes(file.read_bytes()[:-100])
    elif damage == "byte":  # the size is right
        data = bytearray(file.read_bytes())
        data[1000] ^= 1
        file.write_bytes(data)
    else:
        file.unlink()
    assert same(built(source, tmp_path / "store", shard_size=8), store)


def test_a_full_disk_is_one_clear_error(
    source: Path, store: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as patch:
        interrupted_after(patch, 2, OSError(errno.ENOSPC, "No space left on device"))
        with pytest.raises(StoreError, match=r"the disk is full .* run the same command again"):
            built(source, tmp_path / "store", shard_size=8)
    assert same(built(source, tmp_path / "store", shard_size=8), store)


def test_two_builds_at_once_are_refused(source: Path, tmp_path: Path) -> None:
    with claimed(tmp_path / "store"):
        with pytest.raises(StoreError, match="another glr-shard build is at work there"):
            built(source, tmp_path / "store")
        (tmp_path / "store" / "x").touch()
    (tmp_path / "store" / "x").unlink()
