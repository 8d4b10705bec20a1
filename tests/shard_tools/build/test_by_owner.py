"""Splits by groups: the same whatever the order of the rows, near the shares, and said in words."""

from __future__ import annotations

import re
from dataclasses import replace

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from shard_tools.build.assign import by_owner
from shard_tools.sources import Records
from shard_tools.sources.readers import FolderReader
from shard_tools.sources.records import REJECTED_SCHEMA

SHARES = (0.72, 0.18, 0.1)


def records_of(keys: list[str], labels: list[int], owners: list[str]) -> Records:
    classes = sorted({0, *labels})
    return Records(
        "table",
        FolderReader("/"),
        pa.table({"key": keys, "path": keys}),
        np.array(labels, np.int32),
        pa.table({"landmark_id": [f"c{c}" for c in range(max(classes) + 1)]}).append_column(
            "name", pa.nulls(max(classes) + 1, pa.string())
        ),
        REJECTED_SCHEMA.empty_table(),
        owners=pa.array(owners),
    )


@given(
    rows=st.lists(
        st.tuples(st.integers(0, 2), st.sampled_from("abcdefgh")), min_size=1, max_size=40
    ),
    seed=st.integers(0, 3),
    shuffle=st.randoms(use_true_random=False),
)
def test_row_order_does_not_matter(rows: list[tuple[int, str]], seed: int, shuffle) -> None:
    whole = [(f"k{number}", *row) for number, row in enumerate(rows)]
    moved = shuffle.sample(whole, len(whole))
    found = [
        dict(zip(keys, by_owner(records_of(keys, labels, owners), SHARES, seed)[0], strict=True))
        for keys, labels, owners in (map(list, zip(*some, strict=True)) for some in (whole, moved))
    ]
    assert found[0] == found[1]


@pytest.mark.parametrize("fractions", [SHARES, (0.5, 0.5, 0.0), (0.0, 0.5, 0.5)])
def test_shares_come_out_and_are_said(fractions: tuple[float, ...]) -> None:
    random = np.random.default_rng(0)
    labels, owners = random.integers(0, 3, 2000), random.integers(0, 400, 2000)
    keys = [f"k{number}" for number in range(2000)]
    splits, (said,) = by_owner(
        records_of(keys, labels.tolist(), [str(owner) for owner in owners]), fractions, 0
    )
    have = np.bincount(splits, minlength=3) / 2000
    assert have == pytest.approx(fractions, abs=0.01)
    for label in range(3):
        of_class = np.bincount(splits[labels == label], minlength=3) / (labels == label).sum()
        assert of_class == pytest.approx(fractions, abs=0.02)
    assert said.startswith(f"{len(np.unique(owners))} groups kept whole: ")
    shares = [float(number) / 100 for number in re.findall(r" ([\d.]+)% \(wanted", said)]
    assert shares == pytest.approx(have, abs=0.001)


def test_train_gets_the_first_photo_of_a_class() -> None:
    """Two owners, each all of a class: both train, though the shares would send one elsewhere."""
    splits, _ = by_owner(records_of(list("abcd"), [0, 0, 1, 1], list("xxyy")), SHARES, 0)
    assert splits.tolist() == [0, 0, 0, 0]


@pytest.mark.parametrize(("twins", "joined"), [((0, 1), False), ((1, 2), True)])
def test_groups_that_copies_join_are_told(twins: tuple[int, int], joined: bool) -> None:
    """Photos 0 and 1 are of one owner, 2 of another; the last one has none."""
    groups = np.full(4, -1)
    groups[list(twins)] = 0
    records = replace(records_of(list("abcd"), [0, 0, 0, 0], ["x", "x", "y", ""]), groups=groups)
    _, said = by_owner(records, SHARES, 0)
    assert len(said) == 1 + joined
    if joined:
        assert said[1].startswith("copies of a photo join 2 values of the column of groups into 1;")
