"""Which split each photo goes into: as the source says, by groups, or stratified by class."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pyarrow as pa

from shard_tools.build.hashing import hash_strings
from shard_tools.build.options import GIVEN, BuildOptions
from shard_tools.build.splits import DEFAULT_FRACTIONS, TRAIN, assign_splits
from shard_tools.columns import pc
from shard_tools.duplicates.neighbours import join
from shard_tools.errors import StoreError
from shard_tools.sources import Records
from shard_tools.sources.split_names import SPLIT_ADVICE
from shard_tools.store import SPLITS

VAL, TEST = SPLITS.index("val"), SPLITS.index("test")


@dataclass(frozen=True)
class Assignment:
    """The split of every photo."""

    splits: np.ndarray
    """Place in ``SPLITS``. Shape (photos,), int8."""
    chosen: str | tuple[float, ...]
    """``given``, or the fractions."""
    notes: tuple[str, ...] = ()
    """What a user should know of it, in words."""


def assign(records: Records, options: BuildOptions) -> Assignment:
    """Assign every photo to a split.

    Without ``options.splits`` the splits of the source are kept where it has any, else the photos
    are split by the default fractions.

    Raises:
        StoreError: the source gives no splits, though they were asked for.
    """
    wanted = options.splits
    if wanted is None:
        wanted = DEFAULT_FRACTIONS if records.given is None else GIVEN
    if wanted == GIVEN:
        if records.given is None:
            doubt = _not_splits(records)
            raise StoreError(
                f"--splits given: {doubt or f'{options.source} says nothing of splits'} (folders "
                "train, val and test, or a column split with these words); or give three shares, "
                "such as 0.72,0.18,0.10"
            )
        return _given(records, records.given, options)
    fractions = tuple(float(share) for share in wanted)
    notes: tuple[str, ...] = ()
    if options.splits is None and (doubt := _not_splits(records)):
        notes = (doubt,)
    if records.given is not None:
        notes = ("the splits of the source were not used; --splits given keeps them",)
    if records.owners is not None:
        splits, said = by_owner(records, fractions, options.seed)
        return Assignment(splits, fractions, (*notes, *said))
    return Assignment(_stratified(records, fractions, options.seed), fractions, notes)


def _not_splits(records: Records) -> str | None:
    """What looks like splits under other names, and what to do if it is; None for nothing."""
    found = records.notes.get("not_splits")
    return f"{found}: if these are splits, {SPLIT_ADVICE}" if found else None


def _stratified(records: Records, fractions: tuple[float, ...], seed: int) -> np.ndarray:
    keys, ids = records.photos["key"], records.classes["landmark_id"]
    return assign_splits(keys, records.labels, ids, fractions, seed, records.groups)


def _given(records: Records, given: np.ndarray, options: BuildOptions) -> Assignment:
    """The splits of the source; a missing val is cut from train."""
    splits = np.where(given < 0, TRAIN, given).astype(np.int8)
    if not (splits == TRAIN).any() and options.classes_of is None:
        raise StoreError(
            f"{options.source}: its splits leave nothing to train on; --splits 0.72,0.18,0.10 "
            "splits again, and --classes-of RUN evaluates a trained run on these photos"
        )
    notes = []
    if (given < 0).any():
        notes.append(f"{int((given < 0).sum()):,} photos without a split were put into train")
    _check_owners(records, splits, options)
    if not (splits == VAL).any() and (splits == TRAIN).any():
        rows = np.flatnonzero(splits == TRAIN)
        train, val, _ = DEFAULT_FRACTIONS
        shares = train / (train + val), val / (train + val), 0.0
        part = records.take(rows)
        if part.owners is None:
            splits[rows] = _stratified(part, shares, options.seed)
        else:
            splits[rows] = by_owner(part, shares, options.seed)[0]
        notes.append(f"val was cut from train ({shares[1]:.0%} of it): the source gives none")
    if not (splits == TEST).any():
        notes.append("there are no test photos: the source gives none")
    torn = _torn_groups(records.groups, splits)
    if torn:
        notes.append(
            f"{torn:,} groups of duplicates are in several of the given splits: test figures will "
            "look too good; --splits 0.72,0.18,0.10 splits again and keeps them together"
        )
    return Assignment(splits, GIVEN, tuple(notes))


def _check_owners(records: Records, splits: np.ndarray, options: BuildOptions) -> None:
    """Refuse to keep splits of the source that tear the groups that were asked for.

    Raises:
        StoreError: they do.
    """
    if records.owners is None:
        return
    codes = records.owners.dictionary_encode()
    named = np.array([bool(name) for name in codes.dictionary.to_pylist()], bool)
    owner = codes.indices.to_numpy().astype(np.int64)
    torn = _torn_groups(np.where(named[owner], owner, -1), splits)
    if torn:
        raise StoreError(
            f"--group-by {options.reading.group_by}: {torn:,} groups are in several of the splits "
            "of the source; add --splits 0.72,0.18,0.10 to split again by groups, or leave out "
            "--group-by to keep the splits"
        )


def _torn_groups(groups: np.ndarray | None, splits: np.ndarray) -> int:
    """Groups with photos in several splits."""
    if groups is None or not (groups >= 0).any():
        return 0
    rows = np.flatnonzero(groups >= 0)
    pairs = np.unique(np.stack([groups[rows], splits[rows]], axis=1), axis=0)
    return int((np.bincount(pairs[:, 0]) > 1).sum())


def by_owner(
    records: Records, fractions: tuple[float, ...], seed: int
) -> tuple[np.ndarray, tuple[str, ...]]:
    """Splits that keep the photos of each owner together, stratified as well as that allows.

    Groups are taken from the largest to the smallest, in the order of a hash where sizes are equal.
    Each goes where its classes lack the most photos; the first photo of a class in train counts
    extra.

    Args:
        records: with ``owners``; groups of duplicates are kept together too.
        fractions: of train, val and test; sum 1.
        seed: of the order of groups of equal size.

    Returns:
        Place in ``SPLITS``, shape (photos,), int8; what came of it, in words.
    """
    units = _units(records)
    count, classes = int(units.max(initial=-1)) + 1, len(records.classes)
    sizes = np.bincount(units, minlength=count)
    hashes = hash_strings(records.photos["key"], seed, "split order")
    smallest = np.full(count, np.iinfo(np.uint64).max, np.uint64)
    np.minimum.at(smallest, units, hashes)
    order = np.lexsort((smallest, -sizes))
    pairs, photos = np.unique(units * classes + records.labels, return_counts=True)
    starts = np.searchsorted(pairs // classes, np.arange(count + 1))
    share = np.array(fractions)
    wanted = np.bincount(records.labels, minlength=classes)[:, None] * share
    lack = wanted.copy()  # photos that each class still lacks in each split
    total = share * len(units)
    split = np.empty(count, np.int8)
    for unit in order.tolist():
        span = slice(starts[unit], starts[unit + 1])
        labels, number = pairs[span] % classes, photos[span]
        gain = (number[:, None] * lack[labels] / np.maximum(wanted[labels].sum(1), 1)[:, None]).sum(
            0
        )
        first = (lack[labels, TRAIN] == wanted[labels, TRAIN]) & (share[TRAIN] > 0)
        gain[TRAIN] += first.sum()
        gain += sizes[unit] * total / max(len(units), 1)
        gain[share == 0] = -np.inf
        chosen = int(gain.argmax())
        split[unit] = chosen
        lack[labels, chosen] -= number
        total[chosen] -= sizes[unit]
    splits = split[units]
    have = np.bincount(splits, minlength=len(SPLITS)) / max(len(splits), 1)
    said = ", ".join(
        f"{name} {part:.1%} (wanted {asked:.1%})"
        for name, part, asked in zip(SPLITS, have, share, strict=True)
    )
    off = np.abs(lack).sum() / 2 / max(len(splits), 1)
    kept = (
        f"{count:,} groups kept whole: {said}; {off:.1%} of the photos are in another split than "
        "an exactly stratified one would have"
    )
    owners, left = _joined_by_copies(records, units)
    if left == owners:
        return splits, (kept,)
    return splits, (
        kept,
        f"copies of a photo join {owners:,} values of the column of groups into {left:,}; "
        "--duplicates keep lets them stay apart",
    )


def _joined_by_copies(records: Records, units: np.ndarray) -> tuple[int, int]:
    """How many owners are named, and how many units their photos are in."""
    assert records.owners is not None
    names = pc.fill_null(records.owners, "")
    named = pc.not_equal(names, "").to_numpy(zero_copy_only=False)
    owners = pc.count_distinct(names.filter(pa.array(named))).as_py()
    return owners, len(np.unique(units[named]))


def _units(records: Records) -> np.ndarray:
    """Number of the unit of each photo: what must stay together. Shape (photos,), int64."""
    assert records.owners is not None
    codes = records.owners.dictionary_encode()
    owner = codes.indices.to_numpy().astype(np.int64)
    unknown = np.array([not name for name in codes.dictionary.to_pylist()], bool)
    rows = np.arange(len(owner))
    first = np.full(len(codes.dictionary), len(owner))
    np.minimum.at(first, owner, rows)
    roots = np.where(unknown[owner], rows, first[owner])  # without an owner: each by itself
    if records.groups is not None and (records.groups >= 0).any():
        grouped = np.flatnonzero(records.groups >= 0)
        of_group = np.full(int(records.groups.max()) + 1, len(owner))
        np.minimum.at(of_group, records.groups[grouped], grouped)
        joined = np.arange(len(owner))
        join(joined, np.stack([rows, roots], axis=1))
        join(joined, np.stack([grouped, of_group[records.groups[grouped]]], axis=1))
        roots = joined
    return np.unique(roots, return_inverse=True)[1].astype(np.int64)
