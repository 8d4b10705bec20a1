"""Collects what a report shows: class sizes, photo properties, sample photos, rejects, duplicates.

A store gives all of it, from its tables; a source gives the headers of a sample of its photos; a
table of counts gives class sizes alone. Statistics are in
:mod:`shard_tools.report.statistics`, drawing is in the ``charts`` modules.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import pyarrow as pa

from shard_tools.columns import one_array, pc
from shard_tools.errors import StoreError
from shard_tools.report.class_counts import ClassCounts, of_records, of_store, read_counts
from shard_tools.report.duplicates_shown import Duplicates, duplicates_of
from shard_tools.report.photos_shown import headers, thumbnails
from shard_tools.report.statistics import largest, rarest
from shard_tools.sources.detect import read_source
from shard_tools.sources.layout import SourceOptions
from shard_tools.sources.records import Records
from shard_tools.store.consistency import open_consistent
from shard_tools.store.layout import REJECTED
from shard_tools.store.store import Store, holds_store, read_photo, read_store_csv

PROPERTIES = ("width", "height", "aspect", "bytes")
SHOWN_CLASSES = 12
OF_CLASS = 4
"""Photos of a class that are shown."""
_TRIES = 4
"""Photos beyond these that are tried in place of those that cannot be decoded."""


@dataclass(frozen=True)
class Portrait:
    """A class with some of its photos."""

    title: str
    landmark_id: str
    photos: int
    thumbnails: tuple[bytes, ...]
    """JPEGs; empty if no photo could be shown."""


@dataclass(frozen=True)
class Survey:
    """Everything a report shows, before it is drawn."""

    counts: ClassCounts
    properties: dict[str, np.ndarray] = field(default_factory=dict)
    """Width and height in pixels, aspect (width over height) and bytes of the photos looked at, by
    the names in ``PROPERTIES``. Each of shape (photos,)."""
    looked_at: str = "no photos"
    """Which photos the properties come from, in words."""
    largest: tuple[Portrait, ...] = ()
    """All classes where these are few."""
    rarest: tuple[Portrait, ...] = ()
    rejected: dict[str, int] = field(default_factory=dict)
    """Number of photos that are left out by reason, those that cannot be opened among them."""
    duplicates: Duplicates = field(default_factory=lambda: Duplicates({}))


def take_survey(
    path: Path, sample: int, seed: int = 0, options: SourceOptions | None = None
) -> Survey:
    """Look at a store, a source or a table of counts.

    Args:
        path: what :func:`~shard_tools.report.class_counts.read_counts` takes.
        sample: most photos of a source whose headers are read.
        seed: chooses those photos, and the ones that are shown.
        options: how a source is read; None detects everything.

    Raises:
        StoreError: there is nothing to look at.
    """
    options = options or SourceOptions()
    if sample < 1:
        raise StoreError(f"--sample is {sample}; it must be 1 or more")
    rng = np.random.default_rng(seed)
    if holds_store(path) and options.layout in (None, "store"):
        return _of_store(open_consistent(path), rng)
    counts = None if path.is_dir() else _counts_alone(path, options)
    if counts is not None:
        most, fewest = (
            tuple(_portrait(counts, label) for label in labels) for labels in _ends(counts)
        )
        return _checked(Survey(counts, largest=most, rarest=fewest))
    return _checked(_of_source(read_source(path, options), path, sample, rng))


def _checked(survey: Survey) -> Survey:
    if not survey.counts.total.any():
        raise StoreError(f"{survey.counts.where}: no photos there")
    return survey


def _counts_alone(path: Path, options: SourceOptions) -> ClassCounts | None:
    """Class sizes from a CSV file without photos; None if the file is a source of photos."""
    if options.layout is not None or path.suffix.lower() != ".csv":
        return None
    counts = read_counts(path, options)
    return counts if counts.kind in ("counts", "labels") else None


def _portrait(counts: ClassCounts, label: int, shown: tuple[bytes, ...] = ()) -> Portrait:
    id_ = counts.landmark_ids[label].as_py()
    return Portrait(counts.title(label), id_, int(counts.total[label]), shown)


def _of_store(store: Store, rng: np.random.Generator) -> Survey:
    table = store.samples(["label", "shard", "offset", "size", "width", "height"])
    width, height, size = (table[name].to_numpy() for name in ("width", "height", "size"))
    counts = of_store(store)

    def read(row: int) -> bytes:
        place = table.slice(row, 1).to_pylist()[0]
        return read_photo(store, place["shard"], place["offset"], place["size"])

    most, fewest = _portraits(counts, table["label"].to_numpy(), read, rng)
    return Survey(
        counts=counts,
        properties=_properties(width, height, size),
        looked_at=f"all {len(table):,} photos of the store",
        largest=most,
        rarest=fewest,
        rejected=_rejected(store),
        duplicates=duplicates_of(store, counts, read),
    )


def _of_source(records: Records, path: Path, sample: int, rng: np.random.Generator) -> Survey:
    counts = of_records(records, path)
    paths = one_array(records.photos["path"])

    def read(row: int) -> bytes:
        return records.reader.of(records.photos.slice(row, 1)).read(paths[row].as_py())

    rows = np.sort(rng.permutation(len(paths))[:sample])
    values, bad = headers(
        records.reader.of(records.photos.take(rows)), paths.take(rows).to_pylist()
    )
    what = f"{len(rows):,} photos" if len(rows) < len(paths) else f"all {len(paths):,} photos"
    chosen = f", drawn at random from {len(paths):,}" if len(rows) < len(paths) else ""
    rejected = _by_number(records.rejected["reason"])
    if bad:
        rejected[f"cannot be opened, of {what} looked at"] = bad
    most, fewest = _portraits(counts, records.labels, read, rng)
    return Survey(
        counts=counts,
        properties=_properties(*values.T) if len(values) else {},
        looked_at=f"the headers of {what}{chosen}",
        largest=most,
        rarest=fewest,
        rejected=rejected,
    )


def _properties(width: np.ndarray, height: np.ndarray, size: np.ndarray) -> dict[str, np.ndarray]:
    values = (width, height, width / height, size)
    return dict(zip(PROPERTIES, values, strict=True))


def _portraits(
    counts: ClassCounts, labels: np.ndarray, read: Callable[[int], bytes], rng: np.random.Generator
) -> tuple[tuple[Portrait, ...], tuple[Portrait, ...]]:
    """The largest classes and the rarest, each with thumbnails of photos drawn at random."""

    def portrait(label: int) -> Portrait:
        rows = rng.permutation(np.flatnonzero(labels == label))[: OF_CLASS + _TRIES]
        return _portrait(counts, label, thumbnails(read, rows.tolist(), OF_CLASS))

    most, fewest = _ends(counts)
    return tuple(map(portrait, most)), tuple(map(portrait, fewest))


def _ends(counts: ClassCounts) -> tuple[list[int], list[int]]:
    """Labels of the largest classes and of the rarest; only the former where these are all."""
    if int((counts.total > 0).sum()) <= 2 * SHOWN_CLASSES:
        return largest(counts.total, 2 * SHOWN_CLASSES).tolist(), []
    most, fewest = (choose(counts.total, SHOWN_CLASSES).tolist() for choose in (largest, rarest))
    return most, fewest


def _rejected(store: Store) -> dict[str, int]:
    table = read_store_csv(store, REJECTED, ("reason",))
    return {} if table is None else _by_number(table["reason"])


def _by_number(reasons: pa.ChunkedArray) -> dict[str, int]:
    """Number by reason, the most frequent first."""
    rows = pc.value_counts(reasons).to_pylist()
    return {row["values"]: row["counts"] for row in sorted(rows, key=lambda r: -r["counts"])}
