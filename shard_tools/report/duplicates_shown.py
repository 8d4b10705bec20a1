"""Groups of duplicates of a store, as counts and as pictures."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import pyarrow as pa

from shard_tools.columns import one_array, pc
from shard_tools.report.class_counts import ClassCounts
from shard_tools.report.photos_shown import thumbnail
from shard_tools.store.layout import DUPLICATES
from shard_tools.store.store import Store, read_store_csv

SHOWN_GROUPS = 8
"""Groups of each kind that are shown as pictures, at most."""
OF_GROUP = 4
"""Photos of a group that are shown."""
_COLUMNS = ("group", "key", "landmark_id", "kind", "action", "label_conflict", "path")


@dataclass(frozen=True)
class Copy:
    """One photo of a group of duplicates."""

    path: str
    title: str
    """Of its class."""
    thumbnail: bytes | None
    """JPEG; None for a photo that was dropped, or that cannot be decoded."""
    dropped: bool


@dataclass(frozen=True)
class DuplicateGroup:
    """Photos that show the same picture."""

    number: str
    """Its group in ``duplicates.csv``."""
    photos: int
    shown: tuple[Copy, ...]


@dataclass(frozen=True)
class Duplicates:
    """The duplicates of a store."""

    counts: dict[str, int]
    """Each under a description in words."""
    conflicts: tuple[DuplicateGroup, ...] = ()
    """Groups with more than one label, the largest first."""
    others: tuple[DuplicateGroup, ...] = ()
    """Groups with one label, near duplicates before identical files."""
    all_conflicts: int = 0
    """Groups with more than one label, those included that are not shown; the next alike."""
    all_others: int = 0


def duplicates_of(store: Store, counts: ClassCounts, read: Callable[[int], bytes]) -> Duplicates:
    """The duplicates that a build listed; empty where it looked for none.

    Args:
        store: an open store.
        counts: of its classes, which know their names.
        read: the bytes of a photo, from its row in ``samples.parquet``.
    """
    table = read_store_csv(store, DUPLICATES, _COLUMNS)
    if table is None or not len(table):
        return Duplicates({})
    groups = _grouped(table, _splits_of(table, store))
    numbers = {
        "photos with a duplicate": len(table),
        "of them identical files": pc.sum(pc.equal(table["kind"], "exact")).as_py(),
        "groups of duplicates": len(groups),
        "of them with several labels": sum(group.conflict for group in groups),
        "of them in several splits": sum(group.torn for group in groups),
    }
    pictures = _Pictures(store, counts, read)
    conflicts = sorted((g for g in groups if g.conflict), key=lambda g: -len(g.rows))
    others = sorted((g for g in groups if not g.conflict), key=lambda g: g.exact)
    return Duplicates(
        numbers,
        tuple(pictures.of(table, group) for group in conflicts[:SHOWN_GROUPS]),
        tuple(pictures.of(table, group) for group in others[:SHOWN_GROUPS]),
        len(conflicts),
        len(others),
    )


@dataclass(frozen=True)
class _Group:
    number: str
    rows: list[int]
    conflict: bool
    exact: bool
    torn: bool


def _splits_of(table: pa.Table, store: Store) -> pa.ChunkedArray:
    """The split of each photo; null for one that was dropped."""
    samples = store.samples(["key", "split"])
    place = pc.index_in(table["key"], value_set=one_array(samples["key"]))
    return samples["split"].take(place)


def _grouped(table: pa.Table, splits: pa.ChunkedArray) -> list[_Group]:
    """The groups in the order of the file."""
    numbered = table.append_column("row", pa.array(range(len(table)), pa.int64()))
    flags = numbered.append_column("conflict", pc.equal(table["label_conflict"], "true"))
    flags = flags.append_column("exact", pc.equal(table["kind"], "exact"))
    flags = flags.append_column("split", splits)
    sums = [("row", "list"), ("conflict", "any"), ("exact", "all"), ("split", "count_distinct")]
    grouped = flags.group_by("group", use_threads=False).aggregate(sums).to_pylist()
    return [
        _Group(
            g["group"],
            g["row_list"],
            g["conflict_any"],
            g["exact_all"],
            g["split_count_distinct"] > 1,
        )
        for g in grouped
    ]


class _Pictures:
    """Thumbnails by key, of the few photos that are shown."""

    def __init__(self, store: Store, counts: ClassCounts, read: Callable[[int], bytes]) -> None:
        self._keys = store.samples(["key"])["key"]
        ids, names = counts.landmark_ids.to_pylist(), counts.names.to_pylist()
        self._titles = dict(zip(ids, names, strict=True))
        self._read = read

    def of(self, table: pa.Table, group: _Group) -> DuplicateGroup:
        shown = table.take(group.rows[:OF_GROUP]).to_pylist()
        return DuplicateGroup(
            group.number, len(group.rows), tuple(self._copy(row) for row in shown)
        )

    def _copy(self, row: dict[str, str]) -> Copy:
        place = pc.index(self._keys, row["key"]).as_py()
        small = thumbnail(self._read, place) if place >= 0 else None
        title = self._titles.get(row["landmark_id"]) or row["landmark_id"]
        return Copy(row["path"] or row["key"], title, small, row["action"] == "dropped")
