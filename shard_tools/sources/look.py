"""What was understood of a source, in words, before anything is packed; and what looks wrong."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import numpy as np

from shard_tools.columns import column_names
from shard_tools.errors import StoreError
from shard_tools.sources import class_folders, gldv2, image_folder, kaggle
from shard_tools.sources.layout import COLUMNS
from shard_tools.sources.path_table import TABLE_SUFFIXES
from shard_tools.sources.records import Records
from shard_tools.sources.split_names import UNKNOWN, split_of
from shard_tools.store.layout import SPLITS

_EXAMPLES = 3
_LEVELS = 4
_LABELLED = (kaggle.NAME, gldv2.NAME, image_folder.NAME)


def describe(records: Records) -> list[str]:
    """What a source was taken for: layout, labels, classes, splits, what is skipped. Lines."""
    counts = np.bincount(records.labels, minlength=len(records.classes))
    largest = np.argsort(-counts, kind="stable")[:_EXAMPLES]
    names = [f"{title(records, label)} ({counts[label]:,})" for label in largest.tolist()]
    lines = [
        f"layout    {records.kind}"
        + (f", labels from {records.label_file}" if records.label_file else ""),
        f"photos    {len(records.photos):,} of {int((counts > 0).sum()):,} classes: "
        + ", ".join(names)
        + (", ..." if (counts > 0).sum() > _EXAMPLES else ""),
    ]
    if records.kind == class_folders.NAME:
        lines += _tree(records)
    if records.given is None:
        lines.append("splits    none in the source")
    else:
        places, split = np.unique(records.given, return_counts=True)
        said = [
            f"{'no split' if place == UNKNOWN else SPLITS[place]} {number:,}"
            for place, number in zip(places.tolist(), split.tolist(), strict=True)
        ]
        lines.append(f"splits    from the source: {', '.join(said)}")
    if records.owners is not None:
        lines.append(f"groups    {len(records.owners.unique()):,}, each kept in one split")
    for reason, number in reasons(records).items():
        lines.append(f"skipped   {number:,} {reason}")
    return lines


def reasons(records: Records) -> dict[str, int]:
    """How many photos and files are left out before packing, by reason, most frequent first."""
    return dict(Counter(records.rejected["reason"].to_pylist()).most_common())


def title(records: Records, label: int) -> str:
    """What to call a class: its name, or its landmark id."""
    row = records.classes.slice(label, 1).to_pylist()[0]
    return row["name"] or row["landmark_id"]


def _tree(records: Records) -> list[str]:
    """The levels of the class folders: how many folders, and examples."""
    folders: list[set[str]] = []
    for path in records.photos["path"].to_pylist():
        parts = path.split("/")[:-1]
        for level, name in enumerate(parts[:_LEVELS]):
            if level == len(folders):
                folders.append(set())
            if len(folders[level]) < 100_000:
                folders[level].add(name)
    lines = []
    for level, names in enumerate(folders):
        shown = ", ".join(sorted(names)[:_EXAMPLES]) + (", ..." if len(names) > _EXAMPLES else "")
        lines.append(f"level {level + 1}   {len(names):,} folders: {shown}")
    return lines


def doubts(source: Path, records: Records) -> list[str]:
    """What speaks against the way in which a source was understood; empty where nothing does.

    Each says what was found and which command would be right, if the source was misunderstood.
    """
    ids = [row["landmark_id"] for row in records.classes.to_pylist()]
    beside = _unused_table(source) if records.kind == class_folders.NAME else None
    found = []
    if len(ids) == 1:
        found.append(
            f"there is one class only, {ids[0]!r}; if its folder is not the class, give "
            + (beside or "a table of paths and labels, or --labels FILE")
        )
    elif all(split_of(name) != UNKNOWN for name in ids):
        found.append(
            f"all classes are called like splits ({', '.join(sorted(ids))}); if they are, name the "
            "column of the labels with --columns label=COLUMN, or give a table"
        )
    elif beside is not None:
        found.append(
            "a table beside the photos looks like their labels but is not used; if the labels are "
            f"in it, give {beside}"
        )
    lost = sum(n for why, n in reasons(records).items() if why.startswith("not in "))
    if records.kind in _LABELLED and lost > len(records.photos):
        found.append(
            f"most photos have no label: {lost:,} are not in {records.label_file}, "
            f"{len(records.photos):,} are; check that --labels is the right file"
        )
    return found


def _unused_table(source: Path) -> str | None:
    """The arguments that read a table of photos and labels in a folder or beside it; or None."""
    folder = source if source.is_dir() else source.parent
    beside = [folder.with_name(folder.name + suffix) for suffix in TABLE_SUFFIXES]
    inside = sorted(p for p in folder.iterdir() if p.suffix.lower() in TABLE_SUFFIXES)
    for file in (*inside, *beside):
        if file.suffix.lower() != ".csv" or not file.is_file():
            continue
        try:
            names = column_names(file)
        except StoreError:
            continue
        lower = {name.lower() for name in names}
        if not lower & set(COLUMNS["path"]) or lower == {"landmark_id", "name"}:
            continue
        if lower & set(COLUMNS["label"]):
            return f"--source {file}"
        if len(names) > 1:
            return f"--source {file} --columns label=COLUMN (it has {', '.join(names)})"
    return None
