"""Photos that went bad after the build: they are listed and replaced, and do not end a run.

In training a bad photo is replaced by the next one of its class, cropped by the same random
numbers. In evaluation nothing can stand in for it: the network sees a grey image, and the photo
counts (as one not recognised, most likely).
"""

from __future__ import annotations

import csv
import logging
import threading
from collections.abc import Callable, Iterator
from functools import cached_property
from pathlib import Path
from typing import TypeVar

import numpy as np
import pyarrow as pa

from glr_fast.data.plan import BatchPlan, Plan
from shard_tools.errors import StoreError
from shard_tools.store import Store

logger = logging.getLogger(__name__)

Found = TypeVar("Found")
UNDECODABLE = "cannot be decoded"

#: Photos of its class that are tried in place of a bad one.
_TRIES = 8
COLUMNS = ("key", "row", "label", "shard", "offset", "reason", "replaced_by")


def bad_samples_file(process: int) -> str:
    """Name of the list that a process writes: each its own, so that no line is torn."""
    return f"bad_samples-{process}.csv" if process else "bad_samples.csv"


class BadPhotos:
    """Keeps the list of bad photos and says what stands in for them. Threads may share it.

    Args:
        store: to name photos by key and shard.
        plan: to find what replaces them.
        file: CSV that grows by a line per bad photo; None for no file.
        limit: most different bad photos before the run is stopped.
    """

    def __init__(self, store: Store, plan: Plan, file: Path | None, limit: int) -> None:
        self._store = store
        self._plan = plan
        self._file = file
        self._limit = limit
        self._bad: set[int] = set()
        self._lock = threading.Lock()

    def is_bad(self, row: int) -> bool:
        """Whether a photo is known to be bad."""
        return row in self._bad

    def replacements(self, batch: BatchPlan, place: int) -> Iterator[tuple[int, np.ndarray]]:
        """What may stand in for a photo of a batch: (row, box), best first. Empty in evaluation."""
        for row, box in self._plan.replacements(batch, place, _TRIES):
            if row not in self._bad:
                yield row, box

    def stand_in(
        self, batch: BatchPlan, place: int, attempt: Callable[[int, np.ndarray], Found | None]
    ) -> Found | None:
        """Record a bad photo of a batch, and put the first good replacement in its place.

        Args:
            batch: takes the row and the box of what stands in.
            place: of the bad photo.
            attempt: reads (row, box); None says that this one is bad too.

        Returns:
            What ``attempt`` gave; None where nothing can stand in, and the batch is as it was.

        Raises:
            StoreError: there are more bad photos than the limit.
        """
        bad = int(batch.rows[place])
        for row, box in self.replacements(batch, place):
            found = attempt(row, box)
            if found is not None:
                self.report(bad, UNDECODABLE, row)
                batch.rows[place], batch.edits.boxes[place] = row, box
                return found
        self.report(bad, UNDECODABLE, None)
        return None

    def report(self, row: int, reason: str, replaced_by: int | None) -> None:
        """Record a bad photo, the first time that it is seen.

        Raises:
            StoreError: there are more than the limit.
        """
        with self._lock:
            if row in self._bad:
                return
            self._bad.add(row)
            count = len(self._bad)
            sample = self._describe(row)
            self._write([*sample, reason, "" if replaced_by is None else self._key(replaced_by)])
        key, _, _, shard, offset = sample
        logger.warning("bad photo %s (%s at byte %s): %s", key, shard, offset, reason)
        if count > self._limit:
            where = f"; they are listed in {self._file}" if self._file else ""
            raise StoreError(
                f"{count} photos of {self._store.path} cannot be decoded, the last {key} in "
                f"{shard}{where}; check the store with glr-shard verify, or raise "
                f"--data.max-bad-samples (now {self._limit})"
            )

    def _describe(self, row: int) -> list[str]:
        sample = self._samples.slice(row, 1).to_pylist()[0]
        place = [str(sample[name]) for name in ("label", "shard", "offset")]
        return [sample["key"], str(row), *place]

    def _key(self, row: int) -> str:
        return self._samples["key"][row].as_py()

    @cached_property
    def _samples(self) -> pa.Table:
        """Read when the first bad photo turns up: most runs have none."""
        return self._store.samples(["key", "label", "shard", "offset"])

    def _write(self, line: list[str]) -> None:
        if self._file is None:
            return
        self._file.parent.mkdir(parents=True, exist_ok=True)
        new = not self._file.exists()
        with open(self._file, "a", newline="") as file:
            csv.writer(file).writerows([COLUMNS, line] if new else [line])
