"""Parquet files of photos: each row group is read once, whatever the order of the photos."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

import shard_tools.build.builder
import shard_tools.sources.unpacked
from shard_tools.build.builder import BuildInterruptedError
from shard_tools.build.repair import repair_store
from shard_tools.errors import PhotoError, StoreError
from shard_tools.sources import Records, SourceOptions, read_source
from shard_tools.sources.readers import reads
from shard_tools.sources.unpacked import UnpackedReader, unpacked
from shard_tools.store import Store
from shard_tools.workers import Executor
from tests.helpers.photos import built, jpeg
from tests.helpers.stores import same

FILES, GROUPS, OF_GROUP = 2, 10, 50


def parquet(folder: Path, files: int, groups: int, of_group: int, kind: str = "image") -> Path:
    """Files of photos of two classes: structs as Hugging Face has them, or plain bytes."""
    folder.mkdir()
    names = {"info": {"features": {"label": {"names": ["ash", "oak"], "_type": "ClassLabel"}}}}
    for file in range(files):
        numbers = range(file * groups * of_group, (file + 1) * groups * of_group)
        data: list[Any] = [jpeg(number, 24, 16) for number in numbers]
        if kind == "image":
            data = [{"bytes": photo, "path": None} for photo in data]
        table = pa.table({"image": data, "label": [number % 2 for number in numbers]})
        pq.write_table(
            table.replace_schema_metadata({"huggingface": json.dumps(names)}),
            folder / f"train-{file:05d}-of-{files:05d}.parquet",
            row_group_size=of_group,
        )
    return folder


@pytest.fixture(scope="module")
def photos(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return parquet(tmp_path_factory.mktemp("many") / "photos", FILES, GROUPS, OF_GROUP)


@pytest.fixture(scope="module")
def few(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return parquet(tmp_path_factory.mktemp("few") / "photos", 2, 3, 4)


@pytest.fixture
def read_groups(monkeypatch: pytest.MonkeyPatch) -> Counter[int]:
    """How often row groups were read that hold photos, by their number."""
    counts: Counter[int] = Counter()
    whole, parts = pq.ParquetFile.read_row_group, pq.ParquetFile.iter_batches

    def read_row_group(self: Any, group: int, *args: Any, **options: Any) -> Any:
        counts[group] += 1
        return whole(self, group, *args, **options)

    def iter_batches(self: Any, *args: Any, **options: Any) -> Any:
        counts.update(options["row_groups"])
        return parts(self, *args, **options)

    monkeypatch.setattr(pq.ParquetFile, "read_row_group", read_row_group)
    monkeypatch.setattr(pq.ParquetFile, "iter_batches", iter_batches)
    return counts


def shuffled(records: Records) -> tuple[Records, list[str]]:
    rows = np.random.default_rng(0).permutation(len(records.photos))
    found = records.take(rows)
    return found, found.photos["path"].to_pylist()


def all_of(reader: Any, paths: list[str]) -> list[bytes]:
    with closing(reads(reader, paths)) as found:
        return [read() for read in found]


@pytest.mark.parametrize("duplicates", ["keep", "one-split"])
def test_a_build_reads_each_row_group_once(
    photos: Path, tmp_path: Path, read_groups: Counter[int], duplicates: str
) -> None:
    store = built(photos, tmp_path / "store", shard_size=100, duplicates=duplicates)
    assert len(Store.open(store).manifest.shards) >= 10
    assert read_groups == dict.fromkeys(range(GROUPS), FILES)
    assert not (store / ".building").exists()


def test_photos_in_any_order_read_each_row_group_once(
    photos: Path, read_groups: Counter[int]
) -> None:
    """Without copies of all of them: of a shard that is repaired, or goes into an object store."""
    records, paths = shuffled(read_source(photos))
    found = all_of(records.reader.of(records.photos), paths)
    assert read_groups == dict.fromkeys(range(GROUPS), FILES)
    assert found == [jpeg(number_of(path), 24, 16) for path in paths]


def test_photos_in_their_own_order_need_no_copy(
    photos: Path, read_groups: Counter[int], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("tempfile.TemporaryFile", None)
    records = read_source(photos)
    paths = records.photos["path"].to_pylist()
    assert len(all_of(records.reader.of(records.photos), paths)) == len(paths)
    assert read_groups == dict.fromkeys(range(GROUPS), FILES)


def number_of(path: str) -> int:
    """What the photo at a path was made from."""
    _, file, _, _, row = path.removesuffix(".jpg").split("-")
    return int(file) * GROUPS * OF_GROUP + int(row)


@pytest.mark.parametrize("kind", ["image", "bytes"])
def test_unpacked_photos_are_those_of_the_files(tmp_path: Path, kind: str) -> None:
    source = parquet(tmp_path / "photos", 2, 3, 4, kind)
    records, paths = shuffled(read_source(source))
    some = records.take(np.arange(0, len(paths), 2))  # as --top-classes leaves photos out
    reader = unpacked(records.reader, some.photos, tmp_path / "work", Executor(1), False)
    wanted = all_of(records.reader.of(records.photos), paths)[::2]
    assert isinstance(reader, UnpackedReader)
    assert all_of(reader.of(some.photos), paths[::2]) == wanted
    held = sum(file.stat().st_size for file in (tmp_path / "work").iterdir())
    assert held <= sum(map(len, wanted)) + 16 * len(paths)


def test_workers_make_the_same_store(few: Path, tmp_path: Path) -> None:
    one, two = (built(few, tmp_path / str(n), workers=n, shard_size=5) for n in (1, 2))
    assert same(one, two)


def nulls_and_damage(source: Path) -> None:
    """Row 1 of the first file gets no bytes; the second file gets a damaged row group."""
    first, second = sorted(source.glob("*.parquet"))
    table = pq.read_table(first)
    images = table["image"].to_pylist()
    images[1]["bytes"] = None
    place = table.schema.get_field_index("image")
    changed = table.set_column(place, table.schema.field("image"), pa.array(images))
    pq.write_table(changed.replace_schema_metadata(table.schema.metadata), first, row_group_size=4)
    chunk = pq.ParquetFile(second).metadata.row_group(1).column(0)
    data = bytearray(second.read_bytes())
    start = chunk.dictionary_page_offset or chunk.data_page_offset
    data[start : start + chunk.total_compressed_size] = bytes(chunk.total_compressed_size)
    second.write_bytes(data)


def test_damaged_row_groups_and_nulls_reject_their_photos_only(tmp_path: Path) -> None:
    source = parquet(tmp_path / "photos", 2, 3, 4)
    nulls_and_damage(source)
    records, paths = shuffled(read_source(source))
    copies = unpacked(records.reader, records.photos, tmp_path / "work", Executor(1), False)

    def said(read: Callable[[str], bytes], path: str) -> bytes | tuple[str, str]:
        try:
            return read(path)
        except PhotoError as error:
            return error.reason, error.detail

    one, other = records.reader.of(records.photos), copies.of(records.photos)
    with closing(reads(one, paths)) as ahead:
        spilled = [
            said(lambda _, read=read: read(), path) for read, path in zip(ahead, paths, strict=True)
        ]
    answers = [said(other.read, path) for path in paths]
    assert answers == [said(one.read, path) for path in paths] == spilled
    reasons = Counter(answer[0] for answer in answers if isinstance(answer, tuple))
    assert reasons == {"damaged": 4, "cannot be read": 1}


def test_an_interrupted_build_unpacks_the_rest_only(
    few: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, read_groups: Counter[int]
) -> None:
    unpack, count = shard_tools.sources.unpacked.unpack_group, iter(range(100))

    def stops(task: Any, advance: Any) -> Any:
        if next(count) == 4:
            raise KeyboardInterrupt
        return unpack(task, advance)

    out = tmp_path / "store"
    with monkeypatch.context() as patch:
        patch.setattr(shard_tools.sources.unpacked, "unpack_group", stops)
        with pytest.raises(BuildInterruptedError, match=r"unpacked is kept .* again to go on"):
            built(few, out, shard_size=5)
    assert sum(read_groups.values()) == 4
    built(few, out, shard_size=5)
    assert sum(read_groups.values()) == 6
    assert same(out, built(few, tmp_path / "whole", shard_size=5))


def test_copies_that_are_gone_reject_no_photo(few: Path, tmp_path: Path) -> None:
    records = read_source(few)
    reader = unpacked(records.reader, records.photos, tmp_path / "work", Executor(1), False)
    next((tmp_path / "work").glob("*.bin")).unlink()
    with pytest.raises(StoreError, match="remove this folder, then run the same command again"):
        reader.of(records.photos).read(records.photos["path"][0].as_py())


def test_a_shard_is_repaired_from_parquet(few: Path, tmp_path: Path) -> None:
    store = built(few, tmp_path / "s", shard_size=5)
    whole = built(few, tmp_path / "whole", shard_size=5)
    (store / "train-000001.tar").write_bytes(b"")
    repair_store(store, few, SourceOptions(), workers=1, progress=False)
    assert same(store, whole)


def test_with_an_object_store_nothing_is_unpacked(
    few: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(shard_tools.sources.unpacked, "is_remote", lambda path: True)
    store = built(few, tmp_path / "store", shard_size=5)
    monkeypatch.undo()
    assert same(store, built(few, tmp_path / "whole", shard_size=5))
