"""Photos that went bad after the build: replaced, listed, counted; no run ends by them."""

from __future__ import annotations

import csv
from collections.abc import Callable
from pathlib import Path
from typing import NoReturn

import numpy as np
import pytest
import torch

from glr_fast.data import Store, StoreError
from glr_fast.data.backends.dali import DaliBackend
from glr_fast.data.backends.jpeg_regions import can_be_read
from glr_fast.data.plan import BatchPlan
from glr_fast.loader_options import BackendName
from tests.helpers.loaders import FAST, batches, opened
from tests.helpers.photos import jpeg

PHOTO = jpeg(0, 40, 30)


def damage(store: Path, row: int, data: bytes = b"<html>no photo</html>") -> str:
    """Overwrite the start of a photo in its tar; returns its key."""
    sample = Store.open(store).samples().slice(row, 1).to_pylist()[0]
    with open(store / sample["shard"], "r+b") as file:
        file.seek(sample["offset"])
        file.write(data)
    return sample["key"]


def lose_tables(store: Path, row: int) -> str:
    """Turn the quantization tables of a photo into comments: its header reads as before."""
    sample = Store.open(store).samples().slice(row, 1).to_pylist()[0]
    with open(store / sample["shard"], "rb") as file:
        file.seek(sample["offset"])
        photo = file.read(sample["size"])
    return damage(store, row, photo.replace(b"\xff\xdb", b"\xff\xfe"))


Damage = Callable[[Path, int], str]


def cut_off(shard: Path) -> None:
    """In the middle. A new file in its place: a mapped one that is cut off kills the process."""
    data = shard.read_bytes()
    shard.unlink()
    shard.write_bytes(data[: len(data) // 2])


def appended(shard: Path) -> None:
    with shard.open("ab") as file:
        file.write(b"more")


@pytest.mark.parametrize("harm", [damage, lose_tables])
@pytest.mark.parametrize("backend", FAST)
def test_a_photo_gone_bad_is_replaced_by_one_of_its_class_and_listed(
    store: Path, copy: Path, tmp_path: Path, backend: BackendName, harm: Damage
) -> None:
    clean = batches(store, backend)
    bad = [int(clean[0].rows[3]), int(clean[1].rows[0]), int(clean[1].rows[5])]
    keys = {harm(copy, row) for row in bad}
    listed = tmp_path / "bad_samples.csv"
    found = batches(copy, backend, bad_samples=listed)
    assert len(found) == len(clean)
    for ours, theirs in zip(found, clean, strict=True):
        assert torch.equal(ours.labels, theirs.labels)
        assert not set(ours.rows.tolist()) & set(bad)
        same = ours.rows == theirs.rows
        assert (same == ~np.isin(theirs.rows, bad)).all()
        # Within the tolerance between backends: DALI's lost batch is decoded by the other one.
        difference = (ours.images.int() - theirs.images.int()).abs().float().mean((1, 2, 3))
        assert (difference[torch.from_numpy(same)] < 2).all()
        assert (difference[torch.from_numpy(~same)] > 2).all()
    lines = list(csv.DictReader(listed.open()))
    assert {line["key"] for line in lines} == keys
    assert len(lines) == 3
    assert all(line["replaced_by"] and line["shard"].endswith(".tar") for line in lines)


@pytest.mark.parametrize("harm", [damage, lose_tables])
@pytest.mark.parametrize("backend", FAST)
def test_evaluation_goes_past_a_bad_photo_and_counts_it(
    store: Path, copy: Path, backend: BackendName, harm: Damage
) -> None:
    row = Store.open(store).split_rows("test")[2]
    harm(copy, row)
    found = batches(copy, backend, "test", batch_size=4)
    seen = np.concatenate([b.rows[: b.valid] for b in found])
    rows = list(Store.open(store).split_rows("test"))
    assert sorted(seen) == sorted(rows * 2)
    grey = next(b.images[b.rows.tolist().index(row)] for b in found if row in b.rows)
    assert (grey == 128).all()


def test_dali_never_sees_a_header_that_it_cannot_parse(
    copy: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It would throw while its threads still work, and take the process with it, now and then."""

    def seen(backend: DaliBackend, error: RuntimeError) -> NoReturn:
        raise AssertionError from error

    monkeypatch.setattr(DaliBackend, "_rescued", seen)
    rows = Store.open(copy).split_rows("train")
    labels = Store.open(copy).samples()["label"].to_numpy()
    gone = [row for row in rows if labels[row] == labels[rows[0]]]  # of which nothing is left
    others = [row for row in rows[::7] if row not in gone]
    for row in (*gone, *others):
        damage(copy, row)
    shown = [
        (int(row), bool((image == 128).all()))
        for batch in batches(copy, "dali", batch_size=len(rows), max_bad_samples=99)
        for row, image in zip(batch.rows, batch.images, strict=True)
    ]
    assert {row for row, grey in shown if grey} == set(gone)
    assert not {row for row, _ in shown} & set(others)


@pytest.mark.parametrize("split", ["train", "test"])
def test_a_photo_that_dali_failed_on_is_not_shown_to_it_again(
    copy: Path, monkeypatch: pytest.MonkeyPatch, split: str
) -> None:
    failed: list[RuntimeError] = []
    rescued = DaliBackend._rescued

    def noted(backend: DaliBackend, error: RuntimeError) -> tuple[BatchPlan, torch.Tensor]:
        failed.append(error)
        return rescued(backend, error)

    monkeypatch.setattr(DaliBackend, "_rescued", noted)
    lose_tables(copy, Store.open(copy).split_rows(split)[3])
    count = len(Store.open(copy).split_rows(split))
    batches(copy, "dali", split, batch_size=next(n for n in (4, 3, 2, 1) if count % n == 0))
    assert len(failed) == 1


@pytest.mark.parametrize(
    ("data", "box", "wanted"),
    [
        (PHOTO, (0, 0, 30, 40), True),
        (PHOTO, (10, 20, 20, 20), True),
        (PHOTO, (0, 0, 31, 40), False),
        (PHOTO, (1, 0, 30, 40), False),
        (PHOTO, (0, 21, 30, 20), False),
        (PHOTO[:20], (0, 0, 1, 1), False),
        (b"<html>" + PHOTO[6:], (0, 0, 1, 1), False),
        (b"", (0, 0, 1, 1), False),
    ],
)
def test_can_be_read(data: bytes, box: tuple[int, ...], wanted: bool) -> None:
    assert can_be_read(np.frombuffer(data, np.uint8), np.array(box)) == wanted


@pytest.mark.parametrize("backend", FAST)
def test_a_shard_that_is_cut_off_costs_its_photos_only(
    copy: Path, tmp_path: Path, backend: BackendName
) -> None:
    """Cut off after the loader was opened; a store with such a shard is not opened."""
    shard = copy / "train-000000.tar"
    samples = Store.open(copy).samples(["shard", "offset", "size"]).to_pandas()
    whole = len(Store.open(copy).split_rows("train"))
    options = {"batch_size": whole, "image_size": 64, "bad_samples": tmp_path / "bad.csv"}
    with opened(copy, "train", backend=backend, **options) as loader:
        cut_off(shard)
        found = [*loader.epoch(0), *loader.epoch(1)]
    end = samples["offset"] + samples["size"]
    gone = (samples["shard"] == shard.name) & (end > shard.stat().st_size)
    assert gone.sum() > 3
    seen = set(np.concatenate([b.rows for b in found]).tolist())
    assert not seen & set(np.flatnonzero(gone))
    assert len(list(csv.DictReader((tmp_path / "bad.csv").open()))) == gone.sum()


@pytest.mark.parametrize("backend", FAST)
def test_too_many_bad_photos_stop_with_a_word(copy: Path, backend: BackendName) -> None:
    for row in range(4):
        damage(copy, row)
    message = r"3 photos of .* cannot be decoded, the last .* in train-0.*max-bad-samples \(now 2\)"
    with pytest.raises(StoreError, match=message):
        batches(copy, backend, max_bad_samples=2)


@pytest.mark.parametrize("backend", FAST)
def test_a_shard_that_goes_missing_is_named(copy: Path, backend: BackendName) -> None:
    with opened(copy, "train", backend=backend, batch_size=16, image_size=64) as loader:
        (copy / "train-000000.tar").unlink()
        with pytest.raises(StoreError, match=r"train-000000\.tar: cannot be read \(No such file"):
            list(loader)


@pytest.mark.parametrize(
    ("harm", "said"),
    [(cut_off, r"has [\d,]+ bytes"), (Path.unlink, "missing"), (appended, r"has [\d,]+ bytes")],
)
def test_a_store_with_a_shard_of_another_size_is_not_opened(
    copy: Path, harm: Callable[[Path], object], said: str
) -> None:
    """Minutes of training before such a shard is touched would be lost."""
    harm(copy / "train-000000.tar")
    with pytest.raises(StoreError, match=rf"train-000000\.tar: {said}, the .* glr-shard repair"):
        batches(copy, "cpu")
    assert batches(copy, "cpu", "test", batch_size=4)  # which draws nothing from it
