"""The loop itself: finds are named by their seed, and past ones are always tried."""

from __future__ import annotations

import random

import pytest

from tests.fuzz import loop


def test_past_finds_come_first(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(loop, "SECONDS", 0.0)
    seen: list[float] = []
    assert loop.fuzz(lambda rng: seen.append(rng.random()), [3, 5]) == 2
    assert seen == [random.Random(3).random(), random.Random(5).random()]


def test_a_find_names_its_seed() -> None:
    def fails(rng: random.Random) -> None:
        raise ValueError("odd")

    with pytest.raises(AssertionError, match="seed 7: ValueError: odd"):
        loop.fuzz(fails, [7])
