"""What every backend draws on, and the numbers that say where a loader's time goes."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

from glr_fast.data.health import Health
from glr_fast.data.source import PhotoSource

logger = logging.getLogger(__name__)


@dataclass
class Timings:
    """Sums over the life of a loader. What is large beside ``wait_s`` is the bottleneck."""

    batches: int = 0
    """Batches handed out."""
    photos: int = 0
    """Photos in them."""
    wait_s: float = 0.0
    """Seconds in which the consumer waited for a batch."""
    source_s: float = 0.0
    """Seconds to plan batches and get at their encoded bytes (remote shards included)."""
    decode_s: float = 0.0
    """Seconds of decoding, added up over the threads (``cpu`` backend)."""
    resize_s: float = 0.0
    """Seconds of resizing, flipping and colours, added up over the threads (``cpu`` backend)."""
    transfer_s: float = 0.0
    """Seconds to put batches on the device and normalise them (launching only, on a GPU)."""
    ready: int = 0
    """Batches that lay ready behind the last one handed out: 0 says that decoding is behind."""
    _lock: threading.Lock = field(default_factory=threading.Lock, repr=False, compare=False)

    def add(self, **seconds: float) -> None:
        """Add to some of the sums; from any thread."""
        with self._lock:
            for name, value in seconds.items():
                setattr(self, name, getattr(self, name) + value)

    @contextmanager
    def span(self, name: str) -> Iterator[None]:
        """Add the time that a block takes to one of the sums."""
        started = time.perf_counter()
        try:
            yield
        finally:
            self.add(**{name: time.perf_counter() - started})

    def numbers(self) -> dict[str, float]:
        """The sums by name."""
        with self._lock:
            return {k: v for k, v in vars(self).items() if not k.startswith("_")}


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


@dataclass(frozen=True)
class Supply:
    """What every backend draws on."""

    source: PhotoSource
    """Encoded photos."""
    health: Health
    """Bad photos and what replaces them."""
    timings: Timings = field(default_factory=Timings)
    """Where the time goes."""
