from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from glr_fast.config import Config, DataConfig, LossConfig, ModelConfig, OptimConfig, RunConfig
from glr_fast.errors import ConfigError
from glr_fast.schedule import Schedule, growing_sizes, lr_factor, seed_of_step


def schedule(
    steps_per_epoch: int = 10, accumulate: int = 1, epochs: int = 4, **run: object
) -> Schedule:
    config = Config(
        optim=OptimConfig(epochs=epochs, accumulate_steps=accumulate, lr=2.0, warmup_epochs=1),
        model=ModelConfig(freeze_epochs=1),
        loss=LossConfig(reweight_from=0.75),
        run=RunConfig(**run),  # type: ignore[arg-type]
    )
    return Schedule.of(config, steps_per_epoch)


def test_learning_rate_by_hand() -> None:
    rates = [lr_factor(update, 8, 4, 0.0) for update in range(9)]
    assert rates[:4] == [0.25, 0.5, 0.75, 1.0]
    assert rates[4] == 1.0
    assert rates[6] == pytest.approx(0.5)
    assert rates[8] == pytest.approx(0.0, abs=1e-12)
    # To a tenth of the peak: the cosine spans the rest.
    assert [lr_factor(update, 8, 4, 0.1) for update in (4, 6, 8)] == pytest.approx([1, 0.55, 0.1])
    assert lr_factor(5, 5, 4, 0.1) == pytest.approx(0.1)
    assert lr_factor(0, 5, 0, 0.0) == 1.0
    for beyond in (12, 20):
        assert lr_factor(beyond, 8, 4, 0.0) == pytest.approx(0.0, abs=1e-12)


def test_all_batches_of_an_update_have_its_learning_rate() -> None:
    plan = schedule(accumulate=4)
    assert plan.total == 40
    assert plan.warmup == 2  # round(10 / 4)
    assert len({plan.lr(step) for step in range(4, 8)}) == 1
    assert plan.lr(0) == 1.0  # half of the peak of 2
    # The cosine is laid out over the 10 updates of the run, not over its 41 batches.
    rest = schedule(steps_per_epoch=41, accumulate=4, epochs=1, eval_every=0)
    low = replace(rest, min_ratio=0.5, warmup=2)
    assert low.lr(24) == 2.0 * lr_factor(6, 10, 2, 0.5) == pytest.approx(1.5)


def test_every_step_of_every_process_has_a_seed_of_its_own() -> None:
    places = [(seed, step, rank) for seed in (0, 7) for step in (0, 1, 2) for rank in (0, 1, 2)]
    seeds = [seed_of_step(*place) for place in places]
    assert len(set(seeds)) == len(places)
    assert seeds == [seed_of_step(*place) for place in places]
    assert all(2**32 < seed < 2**64 for seed in seeds)
    assert (
        seed_of_step(7, 1000, 3) == 16588383871184232954
    )  # runs of earlier versions go on with the same


@pytest.mark.parametrize(("accumulate", "ends"), [(1, [0, 1, 2, 3, 4, 5]), (3, [2, 5])])
def test_the_last_batch_of_an_update_ends_it(accumulate: int, ends: list[int]) -> None:
    plan = schedule(accumulate=accumulate)
    assert [step for step in range(6) if plan.ends_update(step)] == ends
    assert [done - 1 for done in range(1, 7) if plan.between_updates(done)] == ends


def test_phases() -> None:
    plan = schedule()
    assert [plan.is_frozen(step) for step in (0, 9, 10)] == [True, True, False]
    assert [plan.is_reweighted(step) for step in (29, 30)] == [False, True]
    never = Schedule.of(Config(), 10)
    assert not never.is_frozen(0)
    assert not never.is_reweighted(99)


@pytest.mark.parametrize(
    ("accumulate", "every", "due"),
    [
        (1, 10, [10, 20, 25]),
        (4, 10, [12, 20, 24]),
        (1, 0, [25]),
        (3, 1, [3, 6, 9, 12, 15, 18, 21, 24]),
    ],
)
def test_due_comes_between_updates_and_at_the_end(
    accumulate: int, every: int, due: list[int]
) -> None:
    plan = schedule(steps_per_epoch=5, epochs=5, accumulate=accumulate)
    assert [done for done in range(1, 26) if plan.due(every, done)] == due


def test_fractions_of_epochs() -> None:
    plan = schedule(save_every=0.25, eval_every=2)
    assert plan.save_every == 3  # 2.5 steps, on the step that completes them
    assert plan.eval_every == 20


def test_max_steps_ends_the_run_but_not_the_schedule() -> None:
    short, whole = schedule(max_steps=7), schedule()
    assert short.last == 7
    assert whole.last == 40
    assert [short.lr(step) for step in range(7)] == [whole.lr(step) for step in range(7)]
    assert schedule(max_steps=7, accumulate=4).last == 8
    assert schedule(max_steps=99).last == 40


def test_steps_and_shares_are_exact() -> None:
    """27 / 13 epochs of 13 steps are 27.000000000000004 steps, and 0.7 * 10 epochs over 7."""
    assert all(schedule(13, max_steps=steps).last == steps for steps in range(1, 52))
    config = Config(loss=LossConfig(reweight_from=0.07), optim=OptimConfig(epochs=100))
    assert Schedule.of(config, 13).reweighted_from == 7 * 13


def test_less_than_one_update_is_refused() -> None:
    config = replace(Config(), optim=OptimConfig(epochs=1, accumulate_steps=8))
    with pytest.raises(ConfigError, match="accumulate-steps 8: the whole run has 5 batches"):
        Schedule.of(config, 5)
    assert Schedule.of(config, 8).total == 8  # one update is enough


def test_what_is_taken_as_it_stands() -> None:
    config = Config(optim=OptimConfig(lr=0.5, min_lr_ratio=0.25), run=RunConfig(log_every=7))
    plan = Schedule.of(config, 10)
    assert (plan.peak_lr, plan.min_ratio, plan.log_every) == (0.5, 0.25, 7)


@pytest.mark.parametrize(
    ("start", "full", "epochs", "wanted"),
    [
        (None, 224, 3, (224, 224, 224)),
        (128, 224, 8, (128, 128, 160, 160, 192, 192, 224, 224)),
        (96, 224, 4, (96, 128, 160, 224)),
        (100, 224, 4, (100, 128, 160, 224)),
        (128, 224, 2, (128, 224)),
        (128, 224, 1, (224,)),
        (48, 64, 4, (48, 48, 48, 64)),
    ],
)
def test_crops_grow(start: int | None, full: int, epochs: int, wanted: tuple[int, ...]) -> None:
    assert growing_sizes(start, full, epochs) == wanted


@given(st.integers(16, 400), st.integers(1, 400), st.integers(1, 60))
def test_crops_never_shrink_and_end_at_the_full_size(start: int, more: int, epochs: int) -> None:
    full = start + more
    sizes = growing_sizes(start, full, epochs)
    assert len(sizes) == epochs
    assert list(sizes) == sorted(sizes)
    assert sizes[-1] == full
    assert all(start <= size <= full for size in sizes)
    assert all(size == start or (full - size) % 32 == 0 for size in sizes)
    assert epochs == 1 or sizes[0] == start
    late = sizes[-(-epochs * 3 // 4) :]  # the last quarter
    assert set(late) <= {full}


def test_the_size_belongs_to_the_epoch_of_the_step() -> None:
    config = Config(
        data=DataConfig(image_size=224, start_image_size=128), optim=OptimConfig(epochs=4)
    )
    plan = Schedule.of(config, 10)
    steps = (0, 9, 10, 19, 20, 29, 30, 39, 40)
    wanted = [128] * 2 + [160] * 2 + [192] * 2 + [224] * 3
    assert [plan.image_size(step) for step in steps] == wanted
