"""What of a race on a GPU needs no GPU: its rounds, its failures, its contenders, its targets."""

from __future__ import annotations

from collections.abc import Generator
from pathlib import Path

import pytest

from benchmarks import gpu_contenders as who
from benchmarks.gpu_race import Contender, race
from benchmarks.samples import Sample
from shard_tools.store import Store


def test_each_setting_differs_from_the_base() -> None:
    found = who.settings()
    base = found.pop(who.BASE)
    assert all(setting != base for setting in found.values())
    assert found["ours, preallocate"].decoder.preallocate


def test_nobody_is_opened_twice_and_a_failure_leaves_the_rest() -> None:
    opened, closed, order = [], [], []

    def works(name: str) -> Generator[int]:
        opened.append(name)
        try:
            while True:
                order.append(name)
                yield 8
        finally:
            closed.append(name)

    def broken() -> Generator[int]:
        raise RuntimeError("no such engine\nmore")
        yield 0

    def breaks_later() -> Generator[int]:
        yield from [8] * 5
        raise ValueError("gone")

    contenders = {
        "broken": Contender(broken),
        "a": Contender(lambda: works("a"), ahead=3),
        "later": Contender(breaks_later, ahead=3),
        "b": Contender(lambda: works("b"), ahead=1),
    }
    samples, failed = race(contenders, rounds=2, seconds=0)
    assert failed == {"broken": "RuntimeError: no such engine", "later": "ValueError: gone"}
    assert {name: len(turns) for name, turns in samples.items()} == {"a": 2, "b": 2}
    assert opened == ["a", "b"]
    assert sorted(closed) == ["a", "b"]
    # When opened and in each turn: what may be ready, then as many again under the clock.
    a, b = "a" * 6, "b" * 2
    assert "".join(order) == a + b + (a + b) + (b + a)
    assert all(turn.photos == 24 for turn in samples["a"])


def test_the_targets_judge_the_fastest_of_ours() -> None:
    rates = {who.BARE: 4000, who.BASE: 1500, "ours, queue 4": 2000, who.STOCK: 1600}
    samples = {name: [Sample(rate, 1.0, 1.0)] for name, rate in rates.items()}
    judged = {t.text: t.judge(samples) for t in who.targets(list(samples))}
    found = {text: said and (said[0].median, said[1]) for text, said in judged.items()}
    assert found == {
        "our defaults / best stock DALI": (1500 / 1600, "missed"),
        "our fastest / best stock DALI": (1.25, "met"),
        "our fastest / bare decode of whole photos": (0.5, "missed"),
        "our fastest / webdataset + DataLoader": None,
    }


@pytest.mark.slow
def test_every_contender_runs_on_the_cpu(store: Path) -> None:
    work = who.Work(Store.open(store), batch=8, side=32, threads=1, device="cpu")
    found = who.contenders(work, most_settings=1)
    found["ours, cpu"] = Contender(lambda: who.loader(work, who.Setting(backend="cpu")))
    samples, failed = race(found, rounds=1, seconds=0)
    assert failed == {}
    assert all(turn.photos >= 8 for (turn,) in samples.values())
