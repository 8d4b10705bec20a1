"""Duplicates: photos of equal bytes and the same picture encoded otherwise, grouped. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import pyarrow as pa

from shard_tools.columns import one_array, pc
from shard_tools.duplicates.neighbours import close_pairs, join

#: One row per photo that has a duplicate, group by group.
SCHEMA = pa.schema(
    [
        ("group", pa.int64()),
        ("key", pa.string()),
        ("landmark_id", pa.string()),
        ("kind", pa.string()),
        ("action", pa.string()),
        ("label_conflict", pa.bool_()),
        ("path", pa.string()),
    ]
)
#: Of each photo, as ``Fingerprint`` has it; null hashes where it could not be read, decoded, or
#: shows nothing to compare.
FINGERPRINTS_SCHEMA = pa.schema(
    [
        ("xxh128", pa.binary(16)),
        ("coarse", pa.uint64()),
        ("fine", pa.binary(32)),
        ("pixels", pa.int64()),
        ("size", pa.int64()),
        ("whole", pa.bool_()),
    ]
)
COARSE_BITS = 6
"""Photos are candidates when their 64-bit hashes differ in at most this many bits."""
FINE_BITS = 32
"""They are the same picture when their 256-bit hashes differ in at most this many."""


@dataclass(frozen=True)
class Duplicates:
    """The groups of duplicates that were found, and the photos to drop."""

    groups: np.ndarray
    """Number of each photo's group; -1 where it has no duplicate. Shape (photos,), int64."""
    dropped: np.ndarray
    """Photos that are left out. Shape (photos,), bool."""
    table: pa.Table
    """``SCHEMA``."""

    def notes(self) -> Mapping[str, int]:
        """Counts for manifest and summary."""
        conflicts = self.table.filter(self.table["label_conflict"])
        return {
            "groups": pc.count_distinct(self.table["group"]).as_py(),
            "photos": len(self.table),
            "exact": int(pc.sum(pc.equal(self.table["kind"], "exact")).as_py() or 0),
            "dropped": int(self.dropped.sum()),
            "groups_with_label_conflict": pc.count_distinct(conflicts["group"]).as_py(),
        }


def find_duplicates(
    fingerprints: pa.Table, photos: pa.Table, labels: np.ndarray, ids: pa.ChunkedArray, drop: bool
) -> Duplicates:
    """Group the duplicates among photos, and choose which to keep.

    Where duplicates are dropped, each group keeps one photo of every label it has: the one with
    the most pixels, then the most bytes, then the first key. So no class loses its last photo to
    another that has the same picture; such groups are label conflicts, and train.

    Args:
        fingerprints: ``FINGERPRINTS_SCHEMA``, one row per photo.
        photos: columns ``key`` and ``path``.
        labels: of every photo. Shape (photos,), integers.
        ids: landmark id of every label.
        drop: keep one photo of each group and label only.
    """
    roots, exact = group_photos(fingerprints)
    rows = np.flatnonzero(np.bincount(roots, minlength=len(roots))[roots] > 1)
    keys = one_array(photos["key"])
    dropped = np.zeros(len(labels), bool)
    groups = np.full(len(labels), -1)
    if not len(rows):
        return Duplicates(groups, dropped, SCHEMA.empty_table())
    order = pc.sort_indices(keys.take(pa.array(rows))).to_numpy()
    rows = rows[order]
    _, first, number = np.unique(roots[rows], return_index=True, return_inverse=True)
    groups[rows] = np.argsort(np.argsort(first))[number]  # numbered by their first keys
    rows = rows[np.argsort(groups[rows], kind="stable")]
    if drop:
        dropped[rows] = _worse(fingerprints, groups, labels, rows)
    table = pa.table(
        {
            "group": groups[rows],
            "key": keys.take(pa.array(rows)),
            "landmark_id": ids.take(pa.array(labels[rows])),
            "kind": np.where(exact[rows], "exact", "near").tolist(),
            "action": np.where(dropped[rows], "dropped", "kept").tolist(),
            "label_conflict": _conflicts(groups[rows], labels[rows]),
            "path": photos["path"].take(pa.array(rows)),
        },
        schema=SCHEMA,
    )
    return Duplicates(groups, dropped, table)


def group_photos(fingerprints: pa.Table) -> tuple[np.ndarray, np.ndarray]:
    """The first photo of each one's group, and which have a duplicate of equal bytes.

    Returns:
        Shape (photos,), int64; shape (photos,), bool.
    """
    count = len(fingerprints)
    by_bytes = _first_equal(fingerprints["xxh128"])
    exact = np.bincount(by_bytes, minlength=count)[by_bytes] > 1
    # Equal files have equal hashes: the first of each represents all of them.
    hashed = pc.is_valid(fingerprints["fine"]).to_numpy()
    roots = np.where(hashed, _first_equal(fingerprints["fine"]), by_bytes)
    rows = np.flatnonzero((roots == np.arange(count)) & hashed)
    coarse = fingerprints["coarse"].take(pa.array(rows)).to_numpy()
    fine = _words(one_array(fingerprints["fine"].take(pa.array(rows))))

    joined = np.arange(len(rows))

    def confirm(one: np.ndarray, two: np.ndarray) -> np.ndarray:
        new = joined[one] != joined[two]  # a crowd of alike pictures is joined once, not 84 times
        apart = np.bitwise_count(fine[one[new]] ^ fine[two[new]]).sum(axis=1)
        new[new] = apart <= FINE_BITS
        return new

    for pairs in close_pairs(coarse, COARSE_BITS, confirm):
        join(joined, pairs)
    of_first = np.arange(count)
    of_first[rows] = rows[joined]
    return of_first[roots], exact


def _first_equal(column: pa.ChunkedArray) -> np.ndarray:
    """For every row the first equal one; itself where it is null. Shape (rows,), int64."""
    codes = one_array(column).dictionary_encode().indices.fill_null(-1).to_numpy()
    first = np.full(codes.max(initial=-1) + 2, len(codes))
    np.minimum.at(first, codes, np.arange(len(codes)))
    return np.where(codes < 0, np.arange(len(codes)), first[codes])


def _words(hashes: pa.Array) -> np.ndarray:
    """256-bit hashes as numbers. Shape (hashes, 4), uint64."""
    data = np.frombuffer(hashes.buffers()[1] or b"", np.uint64).reshape(-1, 4)
    return data[hashes.offset : hashes.offset + len(hashes)]


def _worse(
    fingerprints: pa.Table, groups: np.ndarray, labels: np.ndarray, rows: np.ndarray
) -> np.ndarray:
    """Which of ``rows``, sorted by key within a group, are not the best of group and label."""
    pixels, size = (
        fingerprints[name].take(pa.array(rows)).to_numpy() for name in ("pixels", "size")
    )
    group, label = groups[rows], labels[rows]
    best = np.lexsort((-size, -pixels, label, group))
    group, label = group[best], label[best]
    later = np.zeros(len(rows), bool)
    later[1:] = (group[1:] == group[:-1]) & (label[1:] == label[:-1])
    worse = np.empty(len(rows), bool)
    worse[best] = later
    return worse


def _conflicts(groups: np.ndarray, labels: np.ndarray) -> np.ndarray:
    """Whether the group of each row spans labels. Shape of ``groups``, bool."""
    low = np.full(groups.max() + 1, np.iinfo(np.int64).max)
    high = np.full(groups.max() + 1, -1)
    np.minimum.at(low, groups, labels)
    np.maximum.at(high, groups, labels)
    return (low != high)[groups]
