"""Sampling policies: exactness of the natural order, fairness of the balanced one."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from shard_tools.balance import POLICIES, class_draws, epoch_order

label_lists = st.lists(st.integers(0, 12), min_size=1, max_size=120).map(np.array)
seeds = st.integers(0, 2**32 - 1)


@given(labels=label_lists, seed=seeds, epoch=st.integers(0, 5))
def test_natural_epoch_has_each_photo_once(labels: np.ndarray, seed: int, epoch: int) -> None:
    order = epoch_order(labels, "natural", seed, epoch)
    assert sorted(order) == list(range(len(labels)))


@given(labels=label_lists, seed=seeds, epoch=st.integers(0, 5))
def test_balanced_shares_are_within_one_photo(labels: np.ndarray, seed: int, epoch: int) -> None:
    order = epoch_order(labels, "balanced", seed, epoch)
    assert len(order) == len(labels)
    uses = np.bincount(labels[order], minlength=13)[np.bincount(labels, minlength=13) > 0]
    assert uses.max() - uses.min() <= 1


@given(labels=label_lists, seed=seeds, epochs=st.integers(1, 6))
def test_photos_of_a_class_are_used_equally_over_epochs(
    labels: np.ndarray, seed: int, epochs: int
) -> None:
    orders = np.concatenate([epoch_order(labels, "balanced", seed, e) for e in range(epochs)])
    uses = np.bincount(orders, minlength=len(labels))
    for label in np.unique(labels):
        of_class = uses[labels == label]
        assert of_class.max() - of_class.min() <= 1


@pytest.mark.parametrize("policy", POLICIES)
def test_an_order_depends_on_seed_and_epoch_only(policy: str) -> None:
    labels = np.repeat(np.arange(10), np.arange(1, 11))
    order = epoch_order(labels, policy, 3, 2)
    assert (order == epoch_order(labels, policy, 3, 2)).all()
    assert (order != epoch_order(labels, policy, 3, 1)).any()
    assert (order != epoch_order(labels, policy, 4, 2)).any()


@given(
    quota=st.lists(st.floats(0, 9), min_size=1, max_size=40).map(np.array),
    seed=seeds,
    epoch=st.integers(0, 9),
)
def test_draws_round_each_quota_and_keep_the_sum(quota: np.ndarray, seed: int, epoch: int) -> None:
    total = int(quota.sum()) + 1
    quota = np.append(quota, total - quota.sum())
    draws = class_draws(quota, seed, epoch)
    assert draws.sum() == total
    assert (draws >= np.floor(quota - 1e-9)).all()
    assert (draws <= np.ceil(quota + 1e-9)).all()


def test_fractional_quotas_come_true_over_epochs() -> None:
    quota = np.array([0.3, 0.7, 1.5, 2.5])
    mean = np.mean([class_draws(quota, 0, epoch) for epoch in range(2000)], axis=0)
    np.testing.assert_allclose(mean, quota, atol=0.05)


def test_an_unknown_policy_is_an_error() -> None:
    with pytest.raises(KeyError):
        epoch_order(np.zeros(3, int), "no-such", 0, 0)
