"""Subset, shuffle and shards."""

from __future__ import annotations

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from shard_tools.build.plan import argsort, make_plan, select_classes
from shard_tools.errors import StoreError
from shard_tools.store.layout import SPLITS


def keys(count: int) -> pa.ChunkedArray:
    return pa.chunked_array([[f"k{i}" for i in range(count)]], pa.string())


@pytest.mark.parametrize(
    ("top", "least", "kept"),
    [
        (None, 1, [0, 1, 2, 4]),
        (None, 3, [0, 1, 4]),
        (2, 1, [1, 4]),
        (3, 1, [0, 1, 4]),  # 0 and 4 have the same size as none other
        (1, 1, [1]),  # 1 and 4 tie: the lower label
        (99, 0, [0, 1, 2, 4]),  # a class without a photo never stays
    ],
)
def test_select_classes(top: int | None, least: int, kept: list[int]) -> None:
    labels = np.repeat([0, 1, 2, 4], [3, 5, 1, 5])
    assert select_classes(labels, 5, top, least).tolist() == kept


def test_nothing_left() -> None:
    with pytest.raises(StoreError, match=r"2 classes, the largest has 3 photos, --min-images is 4"):
        select_classes(np.array([0, 0, 0, 1]), 2, None, 4)


@given(
    splits=st.lists(st.integers(0, 2), max_size=200),
    size=st.integers(1, 50),
    seed=st.integers(0, 9),
)
def test_every_photo_once_in_shards_of_nearly_equal_size(
    splits: list[int], size: int, seed: int
) -> None:
    of_photo = np.array(splits, np.int8)
    plan = make_plan(keys(len(splits)), of_photo, seed, size)
    assert sorted(plan.order) == list(range(len(splits)))
    assert [shard.start for shard in plan.shards[1:]] == [s.stop for s in plan.shards[:-1]]
    for split in range(3):
        sizes = [s.stop - s.start for s in plan.shards if s.split == SPLITS[split]]
        assert sum(sizes) == splits.count(split)
        assert max(sizes, default=0) <= size
        assert max(sizes, default=0) - min(sizes, default=0) <= 1
        assert len(sizes) == -(-splits.count(split) // size)
    for shard in plan.shards:
        assert {SPLITS[s] for s in of_photo[plan.order[shard.start : shard.stop]]} == {shard.split}


def test_names_in_order() -> None:
    plan = make_plan(keys(5), np.array([2, 0, 0, 0, 1]), 0, 2)
    names = ["train-000000.tar", "train-000001.tar", "val-000000.tar", "test-000000.tar"]
    assert [shard.name for shard in plan.shards] == names


@given(shuffle=st.randoms(use_true_random=False))
def test_row_order_does_not_matter(shuffle) -> None:
    names = np.array([f"k{i}" for i in range(60)])
    splits = np.arange(60) % 3
    rows = np.array(shuffle.sample(range(60), 60))
    one = make_plan(pa.chunked_array([names]), splits, 0, 8)
    two = make_plan(pa.chunked_array([names[rows]]), splits[rows], 0, 8)
    assert (names[one.order] == names[rows][two.order]).all()


def test_the_shuffle_is_global_and_seeded() -> None:
    splits = np.zeros(2000, np.int8)
    one, two = (make_plan(keys(2000), splits, seed, 100).order for seed in (0, 1))
    assert abs(np.corrcoef(one, np.arange(2000))[0, 1]) < 0.1
    assert (one == two).mean() < 0.01


def test_equal_hashes_keep_their_order() -> None:
    hashes = np.array([5, 3, 5, 1, 3, 5], np.uint64)
    assert argsort(hashes).tolist() == [3, 1, 4, 0, 2, 5]
    assert argsort(hashes[:2]).tolist() == [1, 0]
    assert argsort(hashes[:0]).tolist() == []
