"""The plan: every property that design.md claims of it, over ranks, sizes and seeds."""

from __future__ import annotations

from dataclasses import fields

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from glr_fast.data import plan as plan_module
from glr_fast.data.augment import Augmentation, Edits, rarity
from glr_fast.data.plan import DRAWS_PER_PLACE, Plan, Rank, Samples, place_uniforms
from shard_tools.errors import StoreError
from shard_tools.sampling.policies import POLICIES

WORLD_SIZES = (1, 2, 3, 4, 8)


def samples_of(count: int, first_row: int = 0) -> Samples:
    labels = np.arange(count) % 7
    widths, heights = 100 + np.arange(count) % 50, 80 + np.arange(count) % 60
    return Samples(first_row, labels, widths, heights, np.arange(count) // 20)


def epoch_rows(plan: Plan, epoch: int = 0) -> list[np.ndarray]:
    steps = plan.steps_per_epoch
    return [plan.batch(s).rows for s in range(epoch * steps, (epoch + 1) * steps)]


def ranks_of(world: int, samples: Samples, batch: int, **options: object) -> list[Plan]:
    return [Plan(samples, batch, Rank(r, world), **options) for r in range(world)]  # type: ignore[arg-type]


@given(
    count=st.integers(24, 300),
    share=st.integers(1, 4),
    world=st.sampled_from(WORLD_SIZES),
    policy=st.sampled_from([*POLICIES, "natural,balanced@1"]),
    window=st.integers(0, 3),
    epoch=st.integers(0, 3),
)
def test_global_batches_do_not_depend_on_the_world_size(
    count: int, share: int, world: int, policy: str, window: int, epoch: int
) -> None:
    batch = 24 * share if 24 * share <= count else 24
    samples = samples_of(count)
    how = {"policy": policy, "shuffle_window": window}
    how |= {"augmentation": Augmentation(color=0.4, rare=1.0, erase=0.5)}
    alone = Plan(samples, batch, **how)  # type: ignore[arg-type]
    together = ranks_of(world, samples, batch, **how)
    for step in range(epoch * alone.steps_per_epoch, (epoch + 1) * alone.steps_per_epoch):
        whole, parts = alone.batch(step), [plan.batch(step) for plan in together]
        for name in ("rows", "labels"):
            joined = np.concatenate([getattr(part, name) for part in parts])
            np.testing.assert_array_equal(joined, getattr(whole, name))
        for name in (field.name for field in fields(Edits)):
            joined = np.concatenate([getattr(part.edits, name) for part in parts])
            np.testing.assert_array_equal(joined, getattr(whole.edits, name))
        np.testing.assert_array_equal(alone.rows(step), whole.rows)


@given(count=st.integers(24, 300), world=st.sampled_from(WORLD_SIZES), epoch=st.integers(0, 3))
def test_natural_epoch_drops_less_than_a_batch_and_repeats_nothing(
    count: int, world: int, epoch: int
) -> None:
    plans = ranks_of(world, samples_of(count), 24)
    rows = np.concatenate([r for plan in plans for r in epoch_rows(plan, epoch)])
    assert len(rows) == len(set(rows)) == count // 24 * 24
    assert {plan.steps_per_epoch for plan in plans} == {count // 24}


def test_dropped_photos_differ_from_epoch_to_epoch() -> None:
    plan = Plan(samples_of(47), 24)
    kept = [set(np.concatenate(epoch_rows(plan, e))) for e in range(8)]
    assert set().union(*kept) == set(range(47))


@given(count=st.integers(1, 200), batch=st.integers(1, 5), world=st.sampled_from(WORLD_SIZES))
def test_evaluation_counts_each_photo_once_on_uneven_ranks(
    count: int, batch: int, world: int
) -> None:
    plans = ranks_of(world, samples_of(count, first_row=1000), batch * world, augmentation=None)
    steps = plans[0].steps_per_epoch
    assert all(plan.steps_per_epoch == steps for plan in plans)
    batches = [plan.batch(s) for plan in plans for s in range(steps)]
    counted = np.concatenate([b.rows[: b.valid] for b in batches])
    assert sorted(counted) == list(range(1000, 1000 + count))
    assert all(len(b) >= 1 for b in batches)  # a decoder cannot take an empty batch


@pytest.mark.parametrize("change", [{"seed": 1}, {"policy": "balanced"}])
def test_another_seed_or_policy_gives_another_stream(change: dict[str, object]) -> None:
    samples = samples_of(100)
    first, other = Plan(samples, 32).batch(0), Plan(samples, 32, **change).batch(0)  # type: ignore[arg-type]
    assert (first.rows != other.rows).any()


def test_crops_differ_from_epoch_to_epoch_and_place_to_place() -> None:
    plan = Plan(Samples(0, *(np.full(64, value) for value in (0, 500, 500, 0))), 64)
    first, second = plan.batch(0), plan.batch(1)
    assert len({tuple(box) for box in first.edits.boxes}) > 60
    assert (first.edits.boxes != second.edits.boxes).any(axis=1).sum() > 60
    assert 10 < first.edits.flips.sum() < 54


@given(first=st.integers(0, 10_000), count=st.integers(1, 20), skip=st.integers(0, 19))
def test_a_place_has_the_same_numbers_in_any_slice(first: int, count: int, skip: int) -> None:
    whole = place_uniforms(7, 3, first, count + skip)
    np.testing.assert_array_equal(whole[skip:], place_uniforms(7, 3, first + skip, count))
    assert whole.shape == (count + skip, DRAWS_PER_PLACE)


def test_more_numbers_for_a_place_leave_those_in_use(monkeypatch: pytest.MonkeyPatch) -> None:
    """Else an edit that is added to the program would change the crops of every run."""
    before = place_uniforms(7, 3, 100, 20)
    monkeypatch.setattr(plan_module, "_STRETCHES", 2)
    after = place_uniforms(7, 3, 100, 20)
    np.testing.assert_array_equal(after[:, :DRAWS_PER_PLACE], before)
    assert len(np.unique(after)) == after.size == 2 * before.size


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"batch_size": 200}, "larger than the split, which has 100 photos"),
        ({"batch_size": 32, "rank": Rank(0, 3)}, "cannot be shared equally by 3 processes"),
        ({"batch_size": 32, "policy": "nature"}, "unknown sampling policy 'nature'"),
    ],
)
def test_impossible_plans_are_refused(options: dict[str, object], message: str) -> None:
    with pytest.raises(StoreError, match=message):
        Plan(samples_of(100), **options)  # type: ignore[arg-type]


def test_a_rank_outside_the_world_is_refused() -> None:
    with pytest.raises(ValueError, match="rank 2 of 2"):
        Rank(2, 2)


def test_rarity_falls_with_the_logarithm_of_the_photos() -> None:
    np.testing.assert_allclose(rarity(np.array([100, 10, 1, 0])), [0, 0.5, 1, 1])


def test_rare_classes_are_augmented_more() -> None:
    uniforms = np.random.default_rng(0).random((4000, DRAWS_PER_PLACE))
    sizes = np.full(4000, 400), np.full(4000, 400)
    stronger = Augmentation(scale=(0.5, 1.0), flip=0.2, color=0.3, rare=1.0)
    common = stronger.draw(uniforms, *sizes, np.zeros(4000))
    rare = stronger.draw(uniforms, *sizes, np.ones(4000))
    area = [(e.boxes[:, 2] * e.boxes[:, 3]).min() / 400**2 for e in (common, rare)]
    assert area == pytest.approx([0.5, 0.08], abs=0.02)
    assert [edits.flips.mean() for edits in (common, rare)] == pytest.approx([0.2, 0.5], abs=0.03)
    spread = [np.ptp(e.colors, axis=0) for e in (common, rare) if e.colors is not None]
    np.testing.assert_allclose(spread[1] / spread[0], 2, rtol=0.01)
    np.testing.assert_allclose(spread[0], [0.6, 0.6, 0.6, 2 * 18 * 0.3], rtol=0.02)


def test_what_replaces_a_bad_photo_is_of_its_class_and_a_function_of_the_plan() -> None:
    samples = samples_of(100)
    for rank in (Rank(0, 1), Rank(1, 2)):
        plan = Plan(samples, 32, rank)
        batch = plan.batch(4)
        offered = list(plan.replacements(batch, 5, 8))
        assert len(offered) == 8
        for row, box in offered:
            assert samples.labels[row] == batch.labels[5]
            assert row != batch.rows[5]
            assert box[0] + box[2] <= samples.heights[row]
            assert box[1] + box[3] <= samples.widths[row]
    alone = Plan(samples, 32).replacements(Plan(samples, 32).batch(4), 21, 8)
    for (row, box), (other, same) in zip(offered, alone, strict=True):
        assert row == other
        np.testing.assert_array_equal(box, same)
    assert list(Plan(samples, 32, augmentation=None).replacements(batch, 0, 8)) == []


@pytest.mark.parametrize("rank", [0, 1])
def test_what_replaces_a_photo_of_the_same_size_is_cropped_as_it_was(rank: int) -> None:
    """The random numbers are those of the place, in any batch of any epoch and on any rank."""
    same = np.full(40, 100)
    samples = Samples(7, np.zeros(40, np.int64), same, same, np.zeros(40, np.int64))
    plan = Plan(samples, 8, Rank(rank, 2), policy="balanced")
    for step in (0, 1, 9):
        batch = plan.batch(step)
        for index in range(4):
            for row, box in plan.replacements(batch, index, 3):
                assert 7 <= row < 47
                assert row != batch.rows[index]
                assert box.tolist() == batch.edits.boxes[index].tolist()


def test_rows_are_those_of_the_batch_wherever_the_split_begins() -> None:
    early, late = (Plan(samples_of(60, first_row=first), 16) for first in (0, 1000))
    for step in (0, 4):
        rows = late.rows(step)
        assert rows.tolist() == late.batch(step).rows.tolist()
        assert (rows - 1000).tolist() == early.rows(step).tolist()
        # Photos of the same class, in the order of the split.
        offered = [[row - 1000 for row, _ in late.replacements(late.batch(step), 3, 5)]]
        assert offered == [[row for row, _ in early.replacements(early.batch(step), 3, 5)]]


def test_colors_change_evenly_around_one_within_their_strength() -> None:
    """Brightness, contrast and saturation are factors, the hue turns by degrees."""
    uniforms = np.random.default_rng(0).random((5000, DRAWS_PER_PLACE))
    sizes = np.full(5000, 300), np.full(5000, 200)
    grown = np.arange(5000) % 2
    edits = Augmentation(color=0.4, rare=1.0).draw(uniforms, *sizes, grown.astype(float))
    assert edits.colors is not None
    for strength, colors in ((0.4, edits.colors[grown == 0]), (0.8, edits.colors[grown == 1])):
        assert colors[:, :3].min(0) == pytest.approx([1 - strength] * 3, abs=0.01)
        assert colors[:, :3].max(0) == pytest.approx([1 + strength] * 3, abs=0.01)
        assert np.abs(colors[:, 3]).max() == pytest.approx(18 * strength, rel=0.01)
        assert colors[:, :3].mean(0) == pytest.approx([1, 1, 1], abs=0.03)
        assert colors[:, 3].mean() == pytest.approx(0, abs=18 * 0.03)
    assert Augmentation().draw(uniforms, *sizes, grown.astype(float)).colors is None
