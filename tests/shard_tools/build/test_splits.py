"""Stratified splits: the promises per class, in all, and for groups of duplicates."""

from __future__ import annotations

import csv
import time
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from shard_tools.build.splits import DEFAULT_FRACTIONS, assign_splits, parse_fractions, split_counts
from shard_tools.errors import StoreError

fractions = st.tuples(st.integers(1, 100), st.integers(0, 100), st.integers(0, 100)).map(
    lambda parts: tuple(part / sum(parts) for part in parts)
)
class_sizes = st.lists(st.integers(1, 30), min_size=1, max_size=20)


def source(sizes: list[int] | np.ndarray) -> tuple[pa.ChunkedArray, np.ndarray, pa.ChunkedArray]:
    """Keys, labels and landmark ids of classes of these sizes."""
    labels = np.repeat(np.arange(len(sizes)), sizes)
    keys = pa.chunked_array([[f"photo-{i}" for i in range(len(labels))]], pa.string())
    return keys, labels, pa.chunked_array([[str(1000 + i) for i in range(len(sizes))]])


@pytest.mark.parametrize(
    ("size", "low", "high"),
    [
        (1, (1, 0, 0), (1, 0, 0)),
        (2, (1, 0, 0), (2, 1, 1)),
        (5, (3, 0, 0), (4, 1, 1)),
        (10, (7, 1, 1), (8, 2, 1)),
        (100, (72, 18, 10), (72, 18, 10)),
    ],
)
def test_counts_are_the_share_rounded_down_or_up(
    size: int, low: tuple[int, ...], high: tuple[int, ...]
) -> None:
    draws = np.arange(0, 1_000_000, 1000)
    counts = split_counts(np.full(len(draws), size), DEFAULT_FRACTIONS, draws)
    assert (counts.sum(axis=1) == size).all()
    assert (counts >= low).all()
    assert (counts <= high).all()
    assert tuple(counts.max(axis=0)) == high
    assert tuple(counts.min(axis=0)) == low


@given(sizes=class_sizes, shares=fractions, seed=st.integers(0, 2**63))
def test_train_has_every_class_and_empty_shares_stay_empty(
    sizes: list[int], shares: tuple[float, ...], seed: int
) -> None:
    keys, labels, ids = source(sizes)
    split = assign_splits(keys, labels, ids, shares, seed)
    assert set(labels[split == 0]) == set(range(len(sizes)))
    for place, share in enumerate(shares):
        if share == 0:
            assert not (split == place).any()


@given(sizes=class_sizes, seed=st.integers(0, 9), shuffle=st.randoms(use_true_random=False))
def test_row_order_does_not_matter(sizes: list[int], seed: int, shuffle) -> None:
    keys, labels, ids = source(sizes)
    rows = np.array(shuffle.sample(range(len(labels)), len(labels)))
    moved = assign_splits(keys.take(pa.array(rows)), labels[rows], ids, DEFAULT_FRACTIONS, seed)
    assert (moved == assign_splits(keys, labels, ids, DEFAULT_FRACTIONS, seed)[rows]).all()


def test_a_subset_of_the_classes_splits_as_in_the_whole() -> None:
    keys, labels, ids = source([3, 7, 2, 9])
    whole = assign_splits(keys, labels, ids, DEFAULT_FRACTIONS, 0)
    rows = np.flatnonzero(np.isin(labels, [1, 3]))
    part = assign_splits(
        keys.take(pa.array(rows)),
        (labels[rows] == 3).astype(int),
        ids.take(pa.array([1, 3])),
        DEFAULT_FRACTIONS,
        0,
    )
    assert (part == whole[rows]).all()


def test_a_split_stays_the_same_from_release_to_release() -> None:
    """Else photos that a model was trained on would be tested on after an update."""
    keys = pa.chunked_array([[f"k{number:02d}" for number in range(24)]])
    ids = pa.chunked_array([["a", "b", "c"]])
    split = assign_splits(keys, np.repeat([0, 1, 2], [12, 8, 4]), ids, (0.6, 0.2, 0.2), 7)
    assert "".join(map(str, split)) == "000120010102002100200002"


def test_other_seed_other_split() -> None:
    keys, labels, ids = source([200])
    one, two = (assign_splits(keys, labels, ids, DEFAULT_FRACTIONS, seed) for seed in (0, 1))
    assert (one != two).any()
    assert (np.bincount(one) == np.bincount(two)).all()


def test_a_long_tail_of_tiny_classes_keeps_its_share() -> None:
    sizes = np.tile([2, 3, 4, 5], 5000)
    keys, labels, ids = source(sizes)
    split = assign_splits(keys, labels, ids, DEFAULT_FRACTIONS, 0)
    for size in (2, 3, 4, 5):
        shares = np.bincount(split[sizes[labels] == size], minlength=3) / (size * 5000)
        assert abs(shares - DEFAULT_FRACTIONS).max() < 0.01, size


@given(
    sizes=st.lists(st.integers(1, 12), min_size=1, max_size=8),
    seed=st.integers(0, 5),
    data=st.data(),
)
def test_groups_stay_together_and_every_class_trains(
    sizes: list[int], seed: int, data: st.DataObject
) -> None:
    keys, labels, ids = source(sizes)
    some = st.lists(st.integers(-1, 5), min_size=len(labels), max_size=len(labels))
    groups = np.array(data.draw(some))
    split = assign_splits(keys, labels, ids, DEFAULT_FRACTIONS, seed, groups)
    for group in range(6):
        assert len(set(split[groups == group])) <= 1
    assert set(labels[split == 0]) == set(range(len(sizes)))


def test_groups_of_one_change_nothing() -> None:
    keys, labels, ids = source([5, 9, 14])
    alone = assign_splits(keys, labels, ids, DEFAULT_FRACTIONS, 0)
    for groups in (np.full(len(labels), -1), np.arange(len(labels))):
        assert (assign_splits(keys, labels, ids, DEFAULT_FRACTIONS, 0, groups) == alone).all()


def test_a_group_across_classes_trains() -> None:
    keys, labels, ids = source([50, 50])
    groups = np.full(100, -1)
    groups[40:60] = 0
    split = assign_splits(keys, labels, ids, DEFAULT_FRACTIONS, 0, groups)
    assert (split[40:60] == 0).all()
    assert abs(np.bincount(split) - [72, 18, 10]).max() <= 2


@pytest.mark.parametrize("text", ["0.72,0.18,0.10", "1,0,0", " 0.5 , 0.25 , 0.25", "2/3,1/3,0"])
def test_fractions_that_are_fine(text: str) -> None:
    assert sum(parse_fractions(text)) == pytest.approx(1)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "0.7",
        "0.7,0.3",
        "a,b,c",
        "0.5,0.5,0.5",
        "1.2,-0.1,-0.1",
        "nan,1,0",
        "1/0,1,0",
    ],
)
def test_fractions_that_are_not(text: str) -> None:
    with pytest.raises(StoreError, match=r"splits .*; give three numbers"):
        parse_fractions(text)


def test_true_scale(shared: Path) -> None:
    file = shared / "data" / "glr2020" / "class_counts.csv"
    if not file.exists():
        pytest.skip(f"{file} is not here")
    with open(file) as lines:
        sizes = np.array([int(row["images"]) for row in csv.DictReader(lines)])
    keys, labels, ids = source(sizes)
    start = time.perf_counter()
    split = assign_splits(keys, labels, ids, DEFAULT_FRACTIONS, 0)
    seconds = time.perf_counter() - start
    shares = np.bincount(split) / len(split)
    assert abs(shares - DEFAULT_FRACTIONS).max() < 0.001
    tiny = np.bincount(split[sizes[labels] < 6]) / sizes[sizes < 6].sum()
    assert abs(tiny - DEFAULT_FRACTIONS).max() < 0.005
    assert len(np.unique(labels[split == 0])) == len(sizes)
    assert seconds < 10, f"{seconds:.1f} s; 0.6 s on an idle core"
