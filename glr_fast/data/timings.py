"""The numbers that say where a loader's time goes."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

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
    ready: int | None = None
    """Batches that lay ready behind the last one handed out: 0 says that decoding is behind. None
    where the decoder does not say (DALI on a CPU); ``wait_s`` tells there."""
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
        """The sums by name, without what is not known."""
        with self._lock:
            held = vars(self).items()
            return {k: v for k, v in held if not k.startswith("_") and v is not None}
