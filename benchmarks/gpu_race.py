"""A race on one GPU: every contender stays open, and all take turns, round after round.

Opening a pipeline takes seconds and a turn half of one, so nobody is opened twice. What a contender
has made ahead while others ran is taken before the clock starts; the clock stops when the GPU is
done.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Generator, Mapping
from contextlib import ExitStack, closing
from dataclasses import dataclass

import torch

from benchmarks.samples import Sample
from benchmarks.worker import cpu_seconds

Counts = Generator[int]
"""Photos of each batch, without end."""


@dataclass(frozen=True)
class Contender:
    """What takes part in a race."""

    open: Callable[[], Counts]
    ahead: int = 6
    """Batches that it may have ready before its turn, at most."""


def race(
    contenders: Mapping[str, Contender], rounds: int, seconds: float
) -> tuple[dict[str, list[Sample]], dict[str, str]]:
    """Everyone in turn, as often as asked; every second round backwards.

    Args:
        contenders: by name.
        rounds: turns of each.
        seconds: least time of a turn.

    Returns:
        Samples by contender, the k-th of all from the same round; and why the others failed.
    """
    samples: dict[str, list[Sample]] = {}
    failed: dict[str, str] = {}
    with ExitStack() as stack:
        opened: dict[str, Counts] = {}
        for name, contender in contenders.items():
            try:
                opened[name] = stack.enter_context(closing(contender.open()))
                turn(opened[name], contender.ahead, 0)
                samples[name] = []
            except Exception as error:  # a GPU without this engine, a library that is not there
                failed[name] = first_line(error)
        for number in range(rounds):
            for name in list(samples)[:: -1 if number % 2 else 1]:
                try:
                    samples[name].append(turn(opened[name], contenders[name].ahead, seconds))
                except Exception as error:
                    failed[name] = first_line(error)
                    del samples[name]
    return samples, failed


def turn(batches: Counts, ahead: int, seconds: float) -> Sample:
    """Take what is ready, then measure: at least as many batches as may be ready, and a time."""
    for _ in range(ahead):
        next(batches)
    synchronise()
    photos, count, cpu, started = 0, 0, cpu_seconds(), time.perf_counter()
    while count < ahead or time.perf_counter() - started < seconds:
        photos += next(batches)
        count += 1
    synchronise()
    return Sample(photos, time.perf_counter() - started, cpu_seconds() - cpu)


def synchronise() -> None:
    """Wait until the GPU is done, where there is one."""
    if torch.cuda.is_available():
        torch.cuda.synchronize()


def first_line(error: Exception) -> str:
    """An error in one line."""
    return f"{type(error).__name__}: {error}".splitlines()[0][:200]
