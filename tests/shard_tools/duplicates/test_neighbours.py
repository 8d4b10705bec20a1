"""Close hashes are all found, and grouped as an all-pairs search would."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from shard_tools.duplicates.neighbours import close_pairs, join


def everything(one: np.ndarray, two: np.ndarray) -> np.ndarray:
    return np.ones(len(one), bool)


def found(hashes: np.ndarray, distance: int) -> set[tuple[int, int]]:
    parts = list(close_pairs(hashes, distance, everything))
    return {(min(pair), max(pair)) for part in parts for pair in part.tolist()}


def flipped(hashes: np.ndarray, bits: int, rng: np.random.Generator) -> np.ndarray:
    """The hashes with exactly that many bits changed."""
    places = np.argsort(rng.random((len(hashes), 64)), axis=1)[:, :bits].astype(np.uint64)
    return hashes ^ (np.uint64(1) << places).sum(axis=1, dtype=np.uint64)


@pytest.mark.parametrize("distance", [0, 3, 6])
def test_as_many_pairs_as_all_pairs_would_find(distance: int) -> None:
    rng = np.random.default_rng(distance)
    base = rng.integers(0, 2**64, 400, np.uint64)
    hashes = np.concatenate([base, *(flipped(base[:100], bits, rng) for bits in range(9))])
    apart = np.bitwise_count(hashes[:, None] ^ hashes[None])
    rows, columns = np.nonzero(np.triu(apart <= distance, 1))
    assert found(hashes, distance) == set(zip(rows.tolist(), columns.tolist(), strict=True))


@pytest.mark.parametrize("count", [0, 1, 2])
def test_few_hashes(count: int) -> None:
    assert len(found(np.zeros(count, np.uint64), 6)) == (1 if count == 2 else 0)


def test_only_confirmed_pairs_count() -> None:
    hashes = np.zeros(4, np.uint64)
    pairs = list(close_pairs(hashes, 6, lambda one, two: (one + two) % 2 == 1))
    places = {tuple(sorted(pair)) for part in pairs for pair in part.tolist()}
    assert places == {(0, 1), (1, 2), (2, 3), (0, 3)}


def test_many_equal_hashes_stay_cheap_and_become_one_group() -> None:
    hashes = np.zeros(3_000, np.uint64)
    pairs = np.concatenate(list(close_pairs(hashes, 6, lambda one, two: np.abs(one - two) == 1)))
    root = np.arange(len(hashes))
    join(root, pairs)
    assert (root == 0).all()


@given(st.integers(1, 30), st.lists(st.tuples(st.integers(0, 29), st.integers(0, 29)), max_size=40))
def test_groups(count: int, pairs: list[tuple[int, int]]) -> None:
    pairs = [(one % count, two % count) for one, two in pairs]
    wanted = list(range(count))
    for _ in range(count):
        for one, two in pairs:
            wanted[one] = wanted[two] = min(wanted[one], wanted[two])
    root, made = np.arange(count), np.array(pairs, np.int64).reshape(-1, 2)
    for some in (made[::2], made[1::2]):  # step by step, as the search finds them
        join(root, some)
    assert root.tolist() == wanted
