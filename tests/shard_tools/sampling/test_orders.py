"""Sampling policies: exactness of the natural order, fairness of the balanced one."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from shard_tools.errors import StoreError
from shard_tools.sampling.orders import (
    Stream,
    class_draws,
    epoch_order,
    generator,
    stream_key,
    windowed,
)
from shard_tools.sampling.policies import POLICIES, parse_policy, policy_at
from tests.helpers.mixing import mixing

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


@pytest.mark.parametrize("policy", POLICIES)
def test_classes_are_mixed(policy: str) -> None:
    labels = np.repeat(np.arange(4), 250)
    drawn = labels[epoch_order(labels, policy, 0, 0)]
    assert np.mean(drawn[1:] != drawn[:-1]) == pytest.approx(3 / 4, abs=0.06)


@pytest.mark.parametrize(
    ("policy", "order"),
    [
        ("natural", [2, 5, 7, 0, 9, 10, 8, 4, 1, 3, 6]),
        ("balanced", [5, 8, 8, 2, 10, 10, 10, 7, 4, 6, 9]),
        ("sqrt", [1, 7, 8, 4, 10, 10, 9, 6, 3, 0, 5]),
    ],
)
def test_orders_stay_the_same_from_release_to_release(policy: str, order: list[int]) -> None:
    """A run that is resumed after an update goes on with the photos it would have had."""
    labels = np.repeat(np.arange(4), [5, 3, 2, 1])
    assert epoch_order(labels, policy, 7, 2).tolist() == order


def test_streams_stay_the_same_from_release_to_release() -> None:
    drawn = {stream.name: int(generator(7, stream).integers(1000)) for stream in Stream}
    assert drawn == {
        "SHUFFLE": 268,
        "CLASS_ORDER": 231,
        "PHOTO_ORDER": 895,
        "ROUNDING": 122,
        "WINDOW": 301,
        "AUGMENT": 167,
    }
    assert stream_key(7, Stream.AUGMENT)[0] == 373774695227710623


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


@given(
    labels=label_lists,
    policy=st.sampled_from(["balanced", "sqrt", "effective:0.9", "repeat:20:4", "natural"]),
    seed=seeds,
    epoch=st.integers(0, 3),
)
def test_every_policy_gives_each_class_its_share_to_within_a_photo(
    labels: np.ndarray, policy: str, seed: int, epoch: int
) -> None:
    counts = np.bincount(labels)
    order = epoch_order(labels, policy, seed, epoch)
    quota = len(labels) * policy_at(policy, epoch).share(counts)
    assert len(order) == len(labels)
    drawn = np.bincount(labels[order], minlength=len(counts))
    assert (np.abs(drawn - quota) < 1 + 1e-9).all()


@pytest.mark.parametrize(
    ("policy", "shares"),
    [
        ("natural", [0.9, 0.09, 0.01]),
        ("balanced", [1 / 3, 1 / 3, 1 / 3]),
        ("sqrt", np.sqrt([900, 90, 10]) / np.sqrt([900, 90, 10]).sum()),
        ("effective:0", [0.9, 0.09, 0.01]),
        ("effective:0.99999999", [1 / 3, 1 / 3, 1 / 3]),
        ("repeat:90", np.array([900, 90, 30]) / 1020),
        ("repeat:90:2", np.array([900, 90, 20]) / 1010),
    ],
)
def test_shares_by_hand(policy: str, shares: list[float]) -> None:
    share = policy_at(policy, 0).share(np.array([900, 90, 10]))
    np.testing.assert_allclose(share, shares, rtol=1e-4)


def test_a_class_without_photos_gets_nothing() -> None:
    for policy in POLICIES:
        share = policy_at(policy, 0).share(np.array([5, 0, 3]))
        assert share[1] == 0
        assert share.sum() == pytest.approx(1)


def test_a_schedule_changes_policy_at_its_epoch() -> None:
    labels = np.repeat(np.arange(4), [30, 6, 3, 1])
    schedule = "natural,balanced@2,sqrt@5"
    for epoch, policy in enumerate(["natural", "natural", *["balanced"] * 3, "sqrt"]):
        assert policy_at(schedule, epoch).name == policy
    assert sorted(epoch_order(labels, schedule, 0, 1)) == list(range(40))
    drawn = np.concatenate([epoch_order(labels, schedule, 0, e) for e in (2, 3, 4)])
    assert (np.bincount(labels[drawn]) == 30).all()
    uses = np.bincount(drawn, minlength=40)
    assert set(uses[:30]) == {1}  # turns are counted from the epoch where the policy began


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("no-such", "unknown sampling policy 'no-such'; there are natural, balanced"),
        ("balanced:3", "balanced takes 0 parameters, 1 given"),
        ("effective:x", "must be finite numbers"),
        ("effective:1", r"not in \[0, 1\)"),
        ("repeat:0", "must be over 0"),
        ("natural,balanced", "write a schedule as"),
        ("natural@2,balanced", "write a schedule as"),
        ("natural,sqrt@5,balanced@5", "must rise"),
        ("", "unknown sampling policy"),
    ],
)
def test_a_policy_that_cannot_be_is_said(text: str, message: str) -> None:
    with pytest.raises(StoreError, match=message):
        parse_policy(text)


@given(
    sizes=st.lists(st.integers(1, 30), min_size=1, max_size=12),
    window=st.integers(1, 13),
    policy=st.sampled_from(["natural", "balanced"]),
    epoch=st.integers(0, 3),
)
def test_a_window_keeps_the_draws_and_reads_each_shard_once(
    sizes: list[int], window: int, policy: str, epoch: int
) -> None:
    shard = np.repeat(np.arange(len(sizes)), sizes)
    labels = np.arange(len(shard)) % 5
    whole = epoch_order(labels, policy, 1, epoch)
    order = windowed(whole, shard, window, 1, epoch)
    assert sorted(order) == sorted(whole)
    open_shards: list[int] = []
    places = {s: np.flatnonzero(shard[order] == s) for s in np.unique(shard[order])}
    for place in range(len(order)):
        open_shards.append(sum(p[0] <= place <= p[-1] for p in places.values()))
    assert max(open_shards) <= window


def test_mixing_is_the_share_of_an_epoch_that_a_shard_is_spread_over() -> None:
    labels, shard = np.zeros(20_000, int), np.arange(20_000) // 1000
    whole = epoch_order(labels, "natural", 0, 0)
    assert mixing(whole, shard) == pytest.approx(1, abs=0.02)
    assert mixing(np.arange(20_000), shard) == pytest.approx(1 / 20, abs=0.001)
    for window in (1, 4, 10, 20):
        order = windowed(whole, shard, window, 0, 0)
        assert mixing(order, shard) == pytest.approx(window / 20, abs=0.02)
