"""Collects what a report shows: class sizes, photo properties, sample photos, rejects, duplicates.

A store gives all of it, from its tables; a source gives the headers of a sample of its photos; a
table of counts gives class sizes alone. Statistics are in
:mod:`shard_tools.report.statistics`, drawing is in the ``charts`` modules.
"""

from __future__ import annotations

import io
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from PIL import Image, ImageOps

from shard_tools.columns import one_array, pc
from shard_tools.errors import StoreError
from shard_tools.report.class_counts import ClassCounts, of_records, of_store, read_counts
from shard_tools.report.statistics import largest, rarest
from shard_tools.sources.detect import read_source
from shard_tools.sources.layout import SourceOptions
from shard_tools.sources.readers import PhotoReader
from shard_tools.sources.records import Records
from shard_tools.store.layout import DUPLICATES, REJECTED
from shard_tools.store.store import Store, holds_store, read_photo, read_store_csv

PROPERTIES = ("width", "height", "aspect", "bytes")
SHOWN_CLASSES = 12
_THUMBNAIL = (168, 126)
"""Width and height in pixels."""
_TRIES = 5
"""Photos of a class that are tried before it is shown without one."""


@dataclass(frozen=True)
class Portrait:
    """A class with a sample photo."""

    title: str
    landmark_id: str
    photos: int
    thumbnail: bytes | None
    """JPEG; None if no photo could be shown."""


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
    rarest: tuple[Portrait, ...] = ()
    rejected: dict[str, int] = field(default_factory=dict)
    """Number of rejected photos by reason."""
    duplicates: dict[str, int] = field(default_factory=dict)
    """Counts of duplicates, each under a description in words."""


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
        return _of_store(Store.open(path), rng)
    counts = None if path.is_dir() else _counts_alone(path, options)
    if counts is not None:
        survey = Survey(counts, largest=_names(counts, largest), rarest=_names(counts, rarest))
        return _checked(survey)
    return _checked(_of_source(read_source(path, options), path, sample, rng))


def _checked(survey: Survey) -> Survey:
    if not survey.counts.total.any():
        raise StoreError(f"{survey.counts.where}: no photos there")
    return survey


def _counts_alone(path: Path, options: SourceOptions) -> ClassCounts | None:
    """Class sizes from a CSV file without photos; None if the file is a source of photos."""
    if options.layout is not None or path.suffix.lower() != ".csv":
        return None
    counts = read_counts(path)
    return counts if counts.kind in ("counts", "labels") else None


def _shown(counts: ClassCounts) -> int:
    """How many classes to show at either end, so that none is shown at both."""
    return min(SHOWN_CLASSES, max(int((counts.total > 0).sum()) // 2, 1))


def _names(counts: ClassCounts, choose: Callable[[np.ndarray, int], np.ndarray]) -> tuple:
    labels = choose(counts.total, _shown(counts)).tolist()
    return tuple(_portrait(counts, label, None) for label in labels)


def _portrait(counts: ClassCounts, label: int, thumbnail: bytes | None) -> Portrait:
    id_ = counts.landmark_ids[label].as_py()
    return Portrait(counts.title(label), id_, int(counts.total[label]), thumbnail)


def _of_store(store: Store, rng: np.random.Generator) -> Survey:
    table = store.samples(["label", "shard", "offset", "size", "width", "height"])
    width, height, size = (table[name].to_numpy() for name in ("width", "height", "size"))
    counts = of_store(store)

    def read(row: int) -> bytes:
        place = table.slice(row, 1).to_pylist()[0]
        return read_photo(store, place["shard"], place["offset"], place["size"])

    labels = table["label"].to_numpy()
    return Survey(
        counts=counts,
        properties=_properties(width, height, size),
        looked_at=f"all {len(table):,} photos of the store",
        largest=_portraits(counts, labels, largest, read, rng),
        rarest=_portraits(counts, labels, rarest, read, rng),
        rejected=_rejected(store),
        duplicates=_duplicates(store),
    )


def _of_source(records: Records, path: Path, sample: int, rng: np.random.Generator) -> Survey:
    counts = of_records(records, path)
    paths = one_array(records.photos["path"])

    def read(row: int) -> bytes:
        return records.reader.of(records.photos.slice(row, 1)).read(paths[row].as_py())

    rows = np.sort(rng.permutation(len(paths))[:sample])
    values, bad = _headers(
        records.reader.of(records.photos.take(rows)), paths.take(rows).to_pylist()
    )
    what = f"{len(rows):,} photos" if len(rows) < len(paths) else f"all {len(paths):,} photos"
    chosen = f", drawn at random from {len(paths):,}" if len(rows) < len(paths) else ""
    unread = f"; {bad:,} of them could not be opened" if bad else ""
    reasons = pc.value_counts(records.rejected["reason"]).to_pylist()
    return Survey(
        counts=counts,
        properties=_properties(*values.T) if len(values) else {},
        looked_at=f"the headers of {what}{chosen}{unread}",
        largest=_portraits(counts, records.labels, largest, read, rng),
        rarest=_portraits(counts, records.labels, rarest, read, rng),
        rejected={row["values"]: row["counts"] for row in reasons},
    )


def _properties(width: np.ndarray, height: np.ndarray, size: np.ndarray) -> dict[str, np.ndarray]:
    values = (width, height, width / height, size)
    return dict(zip(PROPERTIES, values, strict=True))


def _headers(reader: PhotoReader, paths: list[str]) -> tuple[np.ndarray, int]:
    """Read width and height (in pixels, upright) and size (in bytes) of photos.

    Returns:
        Shape (photos, 3), int64; and how many photos could not be opened.
    """
    values: list[tuple[int, int, int]] = []
    bad = 0
    for path in paths:
        try:
            data = reader.read(path)
            with _opened(data) as image:
                turned = image.getexif().get(0x0112, 1) in (5, 6, 7, 8)
                width, height = image.size[::-1] if turned else image.size
        except Exception:  # a damaged photo makes Pillow raise all kinds of errors
            bad += 1
        else:
            values.append((width, height, len(data)))
    return np.array(values, np.int64).reshape(-1, 3), bad


@contextmanager
def _opened(data: bytes) -> Iterator[Image.Image]:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # odd EXIF, large photos: irrelevant here
        with Image.open(io.BytesIO(data)) as image:
            yield image


def _portraits(
    counts: ClassCounts,
    labels: np.ndarray,
    choose: Callable[[np.ndarray, int], np.ndarray],
    read: Callable[[int], bytes],
    rng: np.random.Generator,
) -> tuple[Portrait, ...]:
    """Classes, each with a thumbnail of one of its photos, drawn at random."""
    portraits = []
    for label in choose(counts.total, _shown(counts)).tolist():
        rows = rng.permutation(np.flatnonzero(labels == label))[:_TRIES]
        made = (thumbnail(read, row) for row in rows.tolist())
        portraits.append(_portrait(counts, label, next((t for t in made if t), None)))
    return tuple(portraits)


def thumbnail(read: Callable[[int], bytes], row: int) -> bytes | None:
    """A small JPEG of a photo, cropped to a fixed shape; None if it cannot be decoded."""
    try:
        with _opened(read(row)) as image:
            image.draft("RGB", (2 * _THUMBNAIL[0], 2 * _THUMBNAIL[1]))
            small = ImageOps.fit(ImageOps.exif_transpose(image).convert("RGB"), _THUMBNAIL)
    except Exception:  # a damaged photo makes Pillow raise all kinds of errors
        return None
    file = io.BytesIO()
    small.save(file, "JPEG", quality=80)
    return file.getvalue()


def _rejected(store: Store) -> dict[str, int]:
    table = read_store_csv(store, REJECTED, ("reason",))
    if table is None:
        return {}
    reasons = pc.value_counts(table["reason"]).to_pylist()
    return {row["values"]: row["counts"] for row in sorted(reasons, key=lambda r: -r["counts"])}


def _duplicates(store: Store) -> dict[str, int]:
    table = read_store_csv(store, DUPLICATES, ("group", "kind", "label_conflict"))
    if table is None:
        return {}
    conflicting = table.filter(pc.equal(table["label_conflict"], "true"))
    return {
        "photos with a duplicate": len(table),
        "of them identical files": len(table.filter(pc.equal(table["kind"], "exact"))),
        "groups of duplicates": pc.count_distinct(table["group"]).as_py(),
        "of them with several labels": pc.count_distinct(conflicting["group"]).as_py(),
    }
