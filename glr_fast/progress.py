"""How far a long piece of work is: a bar with the time left on a terminal, else plain lines."""

from __future__ import annotations

import sys
import time
from types import TracebackType
from typing import Self

from tqdm import tqdm

EVERY_S = 30.0
"""Seconds between plain lines."""


class Progress:
    """Counts units of work; silent where it is told to be. Writes to standard error."""

    def __init__(
        self,
        total: int,
        what: str | None,
        unit: str,
        silent: bool = False,
        every_s: float = EVERY_S,
    ) -> None:
        self._total, self._what, self._unit = total, what, unit
        self._terminal = not silent and sys.stderr.isatty()
        self._lines = not silent and not self._terminal
        self._every_s = every_s
        self._bar = tqdm(total=total, desc=what, unit=f" {unit}", disable=not self._terminal)
        self._began = self._last = time.perf_counter()
        self.done = 0

    def update(self, more: int) -> None:
        """So many more units are done; never beyond the total."""
        more = min(more, self._total - self.done)
        self.done += more
        self._bar.update(more)
        now = time.perf_counter()
        if self._lines and self.done < self._total and now - self._last >= self._every_s:
            left = (now - self._began) / max(1, self.done) * (self._total - self.done)
            said = f"{self._what}: {self.done:,} of {self._total:,} {self._unit}"
            print(f"{said}, {in_words(left)} left", file=sys.stderr, flush=True)
            self._last = now

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._bar.close()


def in_words(seconds: float) -> str:
    """A duration to two units: ``8 s``, ``3 min 20 s``, ``5 h 2 min``, ``2 d 4 h``."""
    left = round(seconds)
    units = (("d", left // 86400), ("h", left // 3600 % 24), ("min", left // 60 % 60))
    named = [(number, unit) for unit, number in (*units, ("s", left % 60))]
    first = next((i for i, (number, _) in enumerate(named) if number), len(named) - 1)
    shown = [f"{number} {unit}" for number, unit in named[first : first + 2] if number]
    return " ".join(shown) or "0 s"
