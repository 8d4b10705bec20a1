"""The loop itself: finds are named by their seed, and past ones are always tried."""

from __future__ import annotations

import random

import pytest

from tests.fuzz import loop


def test_past_finds_come_first_and_some_new_ones_always(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(loop, "SECONDS", 0.0)
    seen: list[float] = []
    loop.fuzz(lambda rng: seen.append(rng.random()), [3, 5])
    assert seen[:2] == [random.Random(3).random(), random.Random(5).random()]
    assert len(set(seen)) == 2 + loop.LEAST


def test_a_find_names_its_seed() -> None:
    def fails(rng: random.Random) -> None:
        raise ValueError("odd")

    with pytest.raises(AssertionError, match="seed 7: ValueError: odd"):
        loop.fuzz(fails, [7])
