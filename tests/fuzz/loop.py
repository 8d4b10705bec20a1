"""The loop of every fuzzer: past finds first, then new seeds until the time is up.

A fuzzer is a function of a seeded generator that raises ``AssertionError`` on a find. ``make test``
gives each a second or two; ``make fuzz`` (``FUZZ_SECONDS=600``) ten minutes. A find names its seed:
add it to the fuzzer's list of past finds together with the fix.
"""

from __future__ import annotations

import os
import random
import time
from collections.abc import Callable, Sequence

SECONDS = float(os.environ.get("FUZZ_SECONDS", "1.5"))


LEAST = 6
"""New seeds that are tried however long they take: a busy machine must not fail a test."""


def fuzz(case: Callable[[random.Random], None], past_finds: Sequence[int] = ()) -> None:
    """Try a case with past seeds, then with new ones for ``SECONDS``, at least ``LEAST`` of them.

    Args:
        case: builds a hostile input from the generator, and asserts what must hold.
        past_finds: seeds that once failed; always tried.

    Raises:
        AssertionError: a find; its message begins with the seed.
    """
    stop = time.monotonic() + SECONDS
    for seed in past_finds:
        _try(case, seed)
    fresh, tried = random.Random(), 0
    while tried < LEAST or time.monotonic() < stop:
        _try(case, fresh.randrange(2**32))
        tried += 1


def _try(case: Callable[[random.Random], None], seed: int) -> None:
    try:
        case(random.Random(seed))
    except Exception as error:
        raise AssertionError(f"seed {seed}: {type(error).__name__}: {error}") from error
