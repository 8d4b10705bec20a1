"""Training batches where the crops grow: one loader at a time, each from the step it is needed."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import count, islice
from typing import Any

from glr_fast.train_batches import TrainBatches


class FakeLoader:
    """Gives (size, step) for batches."""

    steps_per_epoch = 2
    opened: list[FakeLoader]

    def __init__(self, size: int) -> None:
        self.size, self.closed = size, False
        self.opened.append(self)

    def stream(self, step: int) -> Iterator[tuple[int, int]]:
        return ((self.size, number) for number in count(step))

    def close(self) -> None:
        self.closed = True


def growing() -> tuple[TrainBatches, list[FakeLoader]]:
    FakeLoader.opened = []
    opening: Any = FakeLoader
    batches = TrainBatches(opening, 48)
    batches.size_at = lambda step: (48, 64, 80)[min(step // 2, 2)]
    return batches, FakeLoader.opened


def test_a_loader_is_closed_before_the_next_size_is_opened() -> None:
    batches, opened = growing()
    found: list[Any] = []
    for batch in islice(batches.stream(), 6):
        found.append(batch)
        assert [loader.closed for loader in opened] == [True] * (len(opened) - 1) + [False]
    assert found == [(48, 0), (48, 1), (64, 2), (64, 3), (80, 4), (80, 5)]
    batches.close()
    assert all(loader.closed for loader in opened)


def test_a_resumed_run_begins_at_its_step_and_size() -> None:
    batches, opened = growing()
    found: list[Any] = list(islice(batches.stream(3), 2))
    assert found == [(64, 3), (80, 4)]
    assert [loader.size for loader in opened] == [48, 64, 80]
