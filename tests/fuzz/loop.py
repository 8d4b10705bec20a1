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


def fuzz(case: Callable[[random.Random], None], past_finds: Sequence[int] = ()) -> int:
    """Try a case with past and new seeds for ``SECONDS``.

    Args:
        case: builds a hostile input from the generator, and asserts what must hold.
        past_finds: seeds that once failed; always tried.

    Returns:
        The number of seeds tried.

    Raises:
        AssertionError: a find; its message begins with the seed.
    """
    tried, stop = 0, time.monotonic() + SECONDS
    fresh = random.Random()
    seeds = iter(past_finds)
    while True:
        seed = next(seeds, None)
        if seed is None:
            if tried >= len(past_finds) and time.monotonic() >= stop and tried:
                return tried
            seed = fresh.randrange(2**32)
        try:
            case(random.Random(seed))
        except Exception as error:
            raise AssertionError(f"seed {seed}: {type(error).__name__}: {error}") from error
        tried += 1
