"""Keyed hashes: fixed for ever, and unmoved by how the column is cut up."""

from __future__ import annotations

import hashlib

import numpy as np
import pyarrow as pa
import pytest
import xxhash
from hypothesis import given
from hypothesis import strategies as st

from shard_tools.build.hashing import hash_strings, uniform_integers

words = st.lists(st.text(st.characters(codec="utf-8"), max_size=40), max_size=30)


def test_values_never_change() -> None:
    strings = pa.array(["", "a", "12345678", "123456789", "ünï", "00f2b37a032b1dd4"])
    assert [f"{value:016x}" for value in hash_strings(strings, 7, "test").tolist()] == [
        "3ab934784a407c4b",
        "20dfad4503322a39",
        "81616b2e4e118437",
        "ed1d1d58ba77c827",
        "574c42007eae287c",
        "e33d80f21b072d7d",
    ]


def by_the_book(text: str, seed: int, purpose: str) -> int:
    """The hash as docs/format.md describes it."""
    state = hashlib.blake2b(f"{purpose}:{seed}".encode(), digest_size=8).digest()
    return xxhash.xxh3_64(text.encode(), int.from_bytes(state, "little")).intdigest()


@given(texts=words, seed=st.integers(0, 2**63))
def test_the_documented_hash(texts: list[str], seed: int) -> None:
    hashes = hash_strings(pa.array(texts, pa.string()), seed, "split order").tolist()
    assert hashes == [by_the_book(text, seed, "split order") for text in texts]


@given(texts=words, cut=st.integers(0, 30))
def test_chunks_and_slices_do_not_matter(texts: list[str], cut: int) -> None:
    whole = hash_strings(pa.array(texts, pa.string()), 0, "x")
    parts = [pa.array(texts[:cut], pa.string()), pa.array(texts[cut:], pa.string())]
    assert (hash_strings(pa.chunked_array(parts), 0, "x") == whole).all()
    sliced = pa.array(["padding", *texts], pa.string()).slice(1)
    assert (hash_strings(sliced, 0, "x") == whole).all()
    assert len(np.unique(whole)) == len(set(texts))


def test_seed_and_purpose_change_everything() -> None:
    strings = pa.array([f"{i:05d}" for i in range(1000)])
    base = hash_strings(strings, 0, "a")
    assert not np.isin(hash_strings(strings, 1, "a"), base).any()
    assert not np.isin(hash_strings(strings, 0, "b"), base).any()


@pytest.mark.parametrize("below", [1, 10, 1_000_000, 2**31])
def test_uniform_integers_fill_their_range(below: int) -> None:
    strings = pa.array([f"key-{i}" for i in range(20_000)])
    draws = uniform_integers(hash_strings(strings, 3, "u"), below)
    assert draws.min() >= 0
    assert draws.max() < below
    shares = np.bincount(draws * 10 // below, minlength=10) / len(draws) if below >= 10 else None
    assert shares is None or abs(shares - 0.1).max() < 0.01
