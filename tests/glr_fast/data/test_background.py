"""A backend in a thread of its own: the same batches, its errors, an early end."""

from __future__ import annotations

import itertools
import threading
import time
from collections.abc import Generator, Iterator
from contextlib import closing
from pathlib import Path

import numpy as np
import pytest
import torch

from glr_fast.data import LoaderOptions, open_loader, opening
from glr_fast.data.backends.background import Background
from glr_fast.data.backends.base import Backend, Supply
from glr_fast.data.plan import BatchPlan
from glr_fast.data.timings import Timings

CPU = torch.device("cpu")


class Numbers:
    """Makes images of a plan's number; may fail at one."""

    def __init__(self, fails_at: int = -1) -> None:
        self.fails_at, self.made, self.ended, self.closed = fails_at, 0, False, False

    def decode(self, plans: Iterator[BatchPlan]) -> Generator[tuple[BatchPlan, torch.Tensor]]:
        try:
            for plan in plans:
                if self.made == self.fails_at:
                    raise RuntimeError("the decoder is broken")
                self.made += 1
                yield plan, torch.tensor([plan])  # type: ignore[arg-type]
        finally:
            self.ended = True

    def close(self) -> None:
        assert self.ended
        self.closed = True


def background(backend: Numbers) -> tuple[Background, Timings]:
    timings = Timings()
    return Background(backend, timings, CPU), timings


def numbers(count: int | None) -> Iterator[BatchPlan]:
    return itertools.islice(itertools.count(), count)  # type: ignore[return-value]


def threads() -> list[str]:
    return [t.name for t in threading.enumerate() if t.name == "glr-batches"]


def test_all_batches_come_in_order_and_the_thread_ends() -> None:
    inner = Numbers()
    outer, _ = background(inner)
    assert [int(images) for _, images in outer.decode(numbers(20))] == list(range(20))
    assert [int(images) for _, images in outer.decode(numbers(3))] == [0, 1, 2]
    assert not threads()
    outer.close()
    assert inner.closed


def test_it_works_ahead_but_not_without_bounds() -> None:
    inner = Numbers()
    outer, timings = background(inner)
    with closing(outer.decode(numbers(None))) as batches:
        next(batches)
        deadline = time.monotonic() + 10
        while inner.made < 4 and time.monotonic() < deadline:
            time.sleep(0.01)
        time.sleep(0.1)
        assert inner.made == 4  # one taken, two ready, one in hand
        next(batches)
        assert timings.ready in (1, 2)
    assert inner.ended
    assert not threads()


def test_an_error_comes_where_its_batch_would_have_come() -> None:
    outer, _ = background(Numbers(fails_at=3))
    batches = outer.decode(numbers(None))
    assert [int(next(batches)[1]) for _ in range(3)] == [0, 1, 2]
    with pytest.raises(RuntimeError, match="the decoder is broken"):
        next(batches)
    assert not threads()


def test_an_error_of_the_plans_comes_too() -> None:
    def plans() -> Iterator[BatchPlan]:
        yield from numbers(2)
        raise OSError("the disk is gone")

    outer, _ = background(Numbers())
    with pytest.raises(OSError, match="the disk is gone"):
        list(outer.decode(plans()))


def test_closing_the_backend_ends_a_thread_that_nobody_listens_to() -> None:
    inner = Numbers()
    outer, _ = background(inner)
    batches = outer.decode(numbers(None))
    next(batches)
    outer.close()
    assert inner.closed
    assert not threads()


@pytest.mark.parametrize("backend", ["cpu", "dali"])
def test_a_loader_gives_the_same_batches(
    store: Path, monkeypatch: pytest.MonkeyPatch, backend: str
) -> None:
    """As on a GPU, where each backend runs in the background."""
    options = LoaderOptions(batch_size=8, image_size=32, backend=backend, threads=1)

    def taken(start: int) -> list[tuple[np.ndarray, torch.Tensor]]:
        with open_loader(store, "train", options) as loader:
            return [(b.rows, b.images) for b in itertools.islice(loader.stream(start), 7)]

    plain = taken(2)
    inner = opening.open_backend

    def opened(options: LoaderOptions, supply: Supply, *others: object) -> Backend:
        found = inner(options, supply, *others)  # type: ignore[arg-type]
        return Background(found, supply.timings, CPU)

    monkeypatch.setattr(opening, "open_backend", opened)
    for (rows, images), (same_rows, same_images) in zip(taken(2), plain, strict=True):
        np.testing.assert_array_equal(rows, same_rows)
        torch.testing.assert_close(images, same_images, rtol=0, atol=0)
    assert not threads()
