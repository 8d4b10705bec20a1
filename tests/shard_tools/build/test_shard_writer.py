"""One shard: a tar that tarfile reads, the index DALI would write, rows that point into it."""

from __future__ import annotations

import errno
import filecmp
import hashlib
import os
import pickle
import subprocess
import sys
import tarfile
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, cast

import numpy as np
import pyarrow as pa
import pytest
import simplejpeg
import xxhash

from shard_tools.build.shard_writer import PackTask, pack_shard
from shard_tools.photos.prepare import PhotoOptions
from shard_tools.store.shard import tar_member
from tests.helpers.photos import encoded, jpeg, picture


@dataclass(frozen=True)
class MemoryReader:
    photos: dict[str, bytes] = field(default_factory=dict)
    error: int = errno.ENOENT

    def of(self, photos: pa.Table) -> MemoryReader:
        return self

    def read(self, path: str) -> bytes:
        if path not in self.photos:
            raise OSError(self.error, os.strerror(self.error))
        return self.photos[path]


def task(folder: Path, photos: dict[str, bytes]) -> PackTask:
    names = list(photos)
    return PackTask(
        name="train-000000.tar",
        split="train",
        folder=folder,
        reader=MemoryReader({f"p/{name}": data for name, data in photos.items()}),
        keys=pa.array(names, pa.string()),
        paths=pa.array([f"p/{name}" for name in names], pa.string()),
        labels=np.arange(len(names), dtype=np.int32),
        digits=2,
        photo=PhotoOptions(),
    )


PHOTOS = {f"k{seed}": jpeg(seed, 40 + seed, 30) for seed in range(12)}


@pytest.mark.parametrize("size", [0, 1, 511, 512, 513, 98_032, 8**10])
def test_headers_are_those_of_tarfile(size: int) -> None:
    for name in ("a.jpg", "0123456789abcdef.cls", "k" * 80 + ".jpg", "n" * 100):
        info = tarfile.TarInfo(name)
        info.size, info.mode = size, 0o644
        header, padding = tar_member(name, cast("bytes", range(size)))
        assert header == info.tobuf(format=tarfile.USTAR_FORMAT)
        assert padding == bytes(-size % 512)
    with pytest.raises(ValueError, match="1 to 100"):
        tar_member("n" * 101, b"")


def test_the_tar_holds_photos_and_labels(tmp_path: Path) -> None:
    result = pack_shard(pickle.loads(pickle.dumps(task(tmp_path, PHOTOS))))
    with tarfile.open(tmp_path / "train-000000.tar") as tar:
        members = [(member.name, tar.extractfile(member).read()) for member in tar]  # type: ignore[union-attr]
    wanted = []
    for label, (key, data) in enumerate(PHOTOS.items()):
        wanted += [(f"{key}.jpg", data), (f"{key}.cls", f"{label:02d}".encode())]
    assert members == wanted
    assert sorted(path.name for path in tmp_path.iterdir()) == [
        "train-000000.idx",
        "train-000000.tar",
    ]
    assert result.info.samples == 12


def test_rows_and_digests(tmp_path: Path) -> None:
    result = pack_shard(task(tmp_path, PHOTOS))
    tar = (tmp_path / "train-000000.tar").read_bytes()
    index = (tmp_path / "train-000000.idx").read_bytes()
    assert result.info.bytes == len(tar)
    assert result.info.sha256 == hashlib.sha256(tar).hexdigest()
    assert result.info.index_sha256 == hashlib.sha256(index).hexdigest()
    for row, (key, data) in zip(result.rows.to_pylist(), PHOTOS.items(), strict=True):
        assert row["key"] == key
        assert tar[row["offset"] : row["offset"] + row["size"]] == data
        assert row["xxh128"] == xxhash.xxh3_128(data).digest()
        assert (row["width"], row["height"]) == (40 + row["label"], 30)


def test_the_index_is_what_dali_would_write(tmp_path: Path) -> None:
    program = Path(sys.executable).with_name("wds2idx")
    if not program.exists():
        pytest.skip(f"{program} is not here: DALI brings it")
    pack_shard(task(tmp_path, PHOTOS))
    theirs = tmp_path / "theirs.idx"
    subprocess.run(
        [program, tmp_path / "train-000000.tar", theirs], check=True, capture_output=True
    )
    assert (tmp_path / "train-000000.idx").read_bytes() == theirs.read_bytes()


def test_bad_photos_are_left_out_and_listed(tmp_path: Path) -> None:
    photos = PHOTOS | {"cut": jpeg()[:-50], "k99": jpeg(99)}
    bad = task(tmp_path, photos)
    gone = MemoryReader({path: data for path, data in bad.reader.photos.items() if path != "p/k3"})  # type: ignore[attr-defined]
    result = pack_shard(replace(bad, reader=gone))
    assert [(r.key, r.path, r.label, r.reason) for r in result.rejected] == [
        ("k3", "p/k3", 3, "cannot be read"),
        ("cut", "p/cut", 12, "truncated"),
    ]
    assert result.rows["key"].to_pylist() == [k for k in photos if k not in ("k3", "cut")]
    assert result.rows["label"].to_pylist()[-1] == 13
    assert (tmp_path / "train-000000.idx").read_text().startswith("v1.2 12\n")


@pytest.fixture
def decoded(monkeypatch: pytest.MonkeyPatch) -> list[bytes]:
    """What is decoded, as a check or otherwise."""
    seen: list[bytes] = []
    decode = simplejpeg.decode_jpeg

    def noted(data: bytes, *args: Any, **options: Any) -> np.ndarray:
        seen.append(data)
        return decode(data, *args, **options)

    monkeypatch.setattr(simplejpeg, "decode_jpeg", noted)
    return seen


def test_what_was_seen_whole_is_not_decoded_again(tmp_path: Path, decoded: list[bytes]) -> None:
    """But what has changed since is, and what must be encoded anew."""
    photos = PHOTOS | {"cut": jpeg()[:-50], "grey": encoded(picture().convert("L"))}
    whole: list[bytes | None] = [xxhash.xxh3_128_digest(data) for data in photos.values()]
    whole[2], whole[12] = None, xxhash.xxh3_128_digest(jpeg())
    known = replace(task(tmp_path / "known", photos), whole_digests=pa.array(whole, pa.binary(16)))
    new = task(tmp_path / "new", photos)
    for made in (known, new):
        made.folder.mkdir()
    result = pack_shard(known)
    assert decoded == [photos["k2"], photos["cut"], photos["grey"]]
    assert pack_shard(new) == result
    assert [reject.key for reject in result.rejected] == ["cut"]
    for name in ("train-000000.tar", "train-000000.idx"):
        assert filecmp.cmp(new.folder / name, known.folder / name, shallow=False)


def test_the_disk_begins_before_the_end(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    spans: list[tuple[int, int]] = []
    monkeypatch.setattr("shard_tools.build.shard_writer._WRITE_OUT", 4096)
    monkeypatch.setattr(
        "shard_tools.build.shard_writer.write_out", lambda file, at, size: spans.append((at, size))
    )
    result = pack_shard(task(tmp_path, PHOTOS))
    assert len(spans) > 2
    assert [at for at, _ in spans] == [0, *np.cumsum([size for _, size in spans])[:-1]]
    assert result.info.bytes - 4096 - 1024 < sum(size for _, size in spans) <= result.info.bytes


def test_a_lost_disk_is_not_a_bad_photo(tmp_path: Path) -> None:
    lost = replace(task(tmp_path, PHOTOS), reader=MemoryReader({}, errno.EIO))
    with pytest.raises(OSError, match="Input/output"):
        pack_shard(lost)
    assert not list(tmp_path.iterdir())


def test_stopping_leaves_nothing_behind(tmp_path: Path) -> None:
    seen = []

    def stop(photos: int) -> None:
        seen.append(photos)
        if len(seen) == 5:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        pack_shard(task(tmp_path, PHOTOS), stop)
    assert seen == [1] * 5
    assert not list(tmp_path.iterdir())
