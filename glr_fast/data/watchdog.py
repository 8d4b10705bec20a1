"""Says in the log what is being waited for, when a batch does not come."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from glr_fast.data.timings import logger


class Watchdog:
    """Says in the log what is being waited for, when a batch does not come.

    Args:
        after_s: seconds of waiting before it speaks, and between its words.
    """

    def __init__(self, after_s: float = 60.0) -> None:
        self._after_s = after_s
        self._what: Callable[[], str] | None = None
        self._since = 0.0
        self._words = 1
        self._end = threading.Event()
        self._thread: threading.Thread | None = None

    @contextmanager
    def watching(self, what: Callable[[], str]) -> Iterator[None]:
        """Watch over a block; ``what`` says what it waits for, when it is asked."""
        if self._thread is None:
            self._thread = threading.Thread(target=self._run, name="glr-watchdog", daemon=True)
            self._thread.start()
        self._what, self._since, self._words = what, time.monotonic(), 1
        try:
            yield
        finally:
            self._what = None

    def close(self) -> None:
        """End the watching thread."""
        self._end.set()
        if self._thread is not None:
            self._thread.join()

    def _run(self) -> None:
        while not self._end.wait(self._after_s / 4):
            what, waited = self._what, time.monotonic() - self._since
            if what is not None and waited > self._after_s * self._words:
                self._words += 1
                logger.warning("nothing for %.0f s: waiting for %s", waited, what())
