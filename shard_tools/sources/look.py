"""What was understood of a source, in words, before anything is packed; and what looks wrong."""

from __future__ import annotations

import shlex
from collections import Counter
from pathlib import Path

import numpy as np
import pyarrow as pa

from shard_tools.columns import comma_text, pc
from shard_tools.errors import counted
from shard_tools.photos.decode import HEIC_SUFFIXES, reads_heic
from shard_tools.sources import class_folders, gldv2, image_folder, kaggle, path_table
from shard_tools.sources.advice import label_advice, unused_table
from shard_tools.sources.album_names import album_names
from shard_tools.sources.path_table import paths_there
from shard_tools.sources.readers import FolderReader
from shard_tools.sources.records import Records
from shard_tools.sources.split_names import UNKNOWN, roughly_split_of, split_of
from shard_tools.store.layout import SPLITS

_EXAMPLES = 3
_LEVELS = 4
_SAID = {"HEIC": "HEIC, which the extra heic reads: pip install 'glr-fast[heic]'"}
"""Reasons that are said with advice."""
_LABELLED = (kaggle.NAME, gldv2.NAME)
_TABLES = (path_table.NAME, image_folder.NAME, image_folder.SPLIT_TABLES)


def describe(records: Records, split_again: bool = False) -> list[str]:
    """What a source was taken for: layout, labels, classes, splits, what is skipped. Lines.

    Args:
        records: of the source.
        split_again: the splits of the source, if it has any, will not be used.
    """
    counts = np.bincount(records.labels, minlength=len(records.classes))
    order = np.argsort(-counts, kind="stable")[: int((counts > 0).sum())].tolist()
    names, last = (
        [f"{title(records, label)} ({counts[label]:,})" for label in labels]
        for labels in (order[:_EXAMPLES], order[_EXAMPLES:][-_EXAMPLES:])
    )
    lines = [
        f"layout    {records.kind}"
        + (f", labels from {records.label_file}" if records.label_file else ""),
        f"photos    {len(records.photos):,} of {counted(int((counts > 0).sum()), 'class')}: "
        + ", ".join(names)
        + (", ..." if len(order) > _EXAMPLES else ""),
    ]
    if last:
        lines.append(f"smallest  {', '.join(last)}")
    known = records.notes.get("known_classes", len(records.classes))
    if known < len(records.classes):
        names = [title(records, label) for label in range(known, len(records.classes))]
        more = ", ..." if len(names) > _EXAMPLES else ""
        lines.append(
            f"unknown   {counts[known:].sum():,} photos of {counted(len(names), 'class')} that "
            f"{records.notes['classes_of']} does not know: {', '.join(names[:_EXAMPLES])}{more}"
        )
    if records.kind == class_folders.NAME:
        lines += _tree(records)
    if records.given is None:
        lines.append("splits    none in the source")
    else:
        said = ", ".join(_given(records, records.given))
        lines.append(
            f"splits    the source has {said}; --splits divides them anew"
            if split_again
            else f"splits    from the source: {said}"
        )
    if records.owners is not None:
        lines.append(f"groups    {len(records.owners.unique()):,}, each kept in one split")
    for reason, number in reasons(records).items():
        lines.append(f"skipped   {number:,} {_SAID.get(reason, reason)}")
    return lines


def _given(records: Records, given: np.ndarray) -> list[str]:
    """The splits of a source: how many photos, and which folders were taken for them."""
    places, counts = np.unique(given, return_counts=True)
    said = []
    for place, number in zip(places.tolist(), counts.tolist(), strict=True):
        folders: set[str] = set()
        if records.kind == class_folders.NAME and place != UNKNOWN:
            paths = records.photos["path"].filter(pa.array(given == place))
            above = pc.unique(pc.replace_substring_regex(paths, "(?s)/[^/]*$", "")).to_pylist()
            parts = {part for folder in above for part in folder.split("/")}
            folders = {part for part in parts if roughly_split_of(part) == place}
        name = "no split" if place == UNKNOWN else SPLITS[place]
        where = f" (in {', '.join(sorted(folders)[:_EXAMPLES])})" if folders else ""
        said.append(f"{name} {number:,}{where}")
    return said


def albums(records: Records) -> str | None:
    """That classes are called like dates or cameras, in a line; None where most are not."""
    if records.kind != class_folders.NAME:
        return None
    used = [title(records, label) for label in np.unique(records.labels).tolist()]
    found = album_names(used)
    if not found:
        return None
    shown = ", ".join(sorted(found)[:_EXAMPLES]) + (", ..." if len(found) > _EXAMPLES else "")
    return (
        f"{len(found):,} of {len(used):,} classes are called like dates, cameras or occasions "
        f"({shown}); each folder becomes a class, so sort the photos by what they show if that is "
        "what a model is to learn"
    )


def reasons(records: Records) -> dict[str, int]:
    """How many photos and files will be left out, by reason, most frequent first.

    Those that only decoding finds are not among them.
    """
    counts = Counter(records.rejected["reason"].to_pylist())
    if not reads_heic():
        pattern = rf"\.({'|'.join(HEIC_SUFFIXES)})$"
        heic = pc.match_substring_regex(records.photos["path"], pattern, ignore_case=True)
        counts["HEIC"] += pc.sum(heic, min_count=0).as_py()
    return {reason: number for reason, number in counts.most_common() if number}


def title(records: Records, label: int) -> str:
    """What to call a class: its name, or its landmark id."""
    row = records.classes.slice(label, 1).to_pylist()[0]
    return row["name"] or row["landmark_id"]


def _tree(records: Records) -> list[str]:
    """The levels of the class folders: how many folders, and examples."""
    folders: list[set[str]] = []
    for path in pc.utf8_normalize(records.photos["path"], form="NFC").to_pylist():
        parts = path.split("/")[:-1]
        for level, name in enumerate(parts[:_LEVELS]):
            if level == len(folders):
                folders.append(set())
            if len(folders[level]) < 100_000:
                folders[level].add(name)
    lines = []
    for level, names in enumerate(folders):
        first = [f'"{name}"' if "," in name else name for name in sorted(names)[:_EXAMPLES]]
        shown = ", ".join(first) + (", ..." if len(names) > _EXAMPLES else "")
        lines.append(f"level {level + 1}   {counted(len(names), 'folder')}: {shown}")
    return lines


def doubts(
    source: Path, found: Records, chosen: Records | None = None, split_again: bool = False
) -> list[str]:
    """What speaks against the way in which a source was understood; empty where nothing does.

    Each says what was found and which command would be right, if the source was misunderstood.

    Args:
        source: the photos.
        found: everything in it.
        chosen: what is left of it after classes were left out; None for all.
        split_again: the splits of the source will not be used.
    """
    chosen = found if chosen is None else chosen
    folders = found.kind == class_folders.NAME
    said = [
        None if "known_classes" in chosen.notes else _one_class(source, found),
        _like_splits(source, chosen),
        None if split_again else _untrained(chosen),
        _beside(source, found) if folders else None,
        _unlabelled(found),
        _missing(source, found),
    ]
    return [text for text in said if text]


def _one_class(source: Path, records: Records) -> str | None:
    ids = records.classes["landmark_id"].to_pylist()
    if len(ids) > 1:
        return None
    return (
        f"there is one class only, {ids[0]!r}; if its folder is not the class, "
        f"{label_advice(source)}"
    )


def _like_splits(source: Path, records: Records) -> str | None:
    """Classes that are rather splits, or folders of photos without a class beside the others."""
    used = np.unique(records.labels)
    ids = records.classes["landmark_id"].take(pa.array(used)).to_pylist()
    names = [name.rpartition("/")[2] for name in ids]
    exact = [i for i, name in zip(ids, names, strict=True) if split_of(name) != UNKNOWN]
    rough = [i for i, name in zip(ids, names, strict=True) if roughly_split_of(name) != UNKNOWN]
    if len(rough) == len(ids) > 1:
        return (
            f"all classes are called like splits ({', '.join(sorted(ids)[:_EXAMPLES])}); if they "
            f"are, {label_advice(source)}"
        )
    if records.kind != class_folders.NAME or not rough:
        return None
    kinds = {split_of(name.rpartition("/")[2]) for name in exact}
    if exact and records.given is None:
        kinds |= {split_of(name) for name in _outer_folders(records)} - {UNKNOWN}
    lonely = [] if len(kinds) > 1 else _on_a_level_alone(records, rough)
    suspects = sorted(exact) if len(kinds) > 1 else lonely
    if not suspects:
        return None
    text = comma_text(suspects)
    return (
        f"{', '.join(suspects[:_EXAMPLES])} among the classes look like splits; if they hold "
        f"photos without a class, leave them out with --exclude-classes {shlex.quote(text)}"
    )


def _outer_folders(records: Records) -> set[str]:
    """Names of all folders above those that hold the photos."""
    folders = pc.unique(pc.replace_substring_regex(records.photos["path"], "(?s)/[^/]*$", ""))
    return {name for folder in folders.to_pylist() for name in folder.split("/")[:-1]}


def _on_a_level_alone(records: Records, ids: list[str]) -> list[str]:
    """Classes with photos on a level where no other class has any: ``val_256``, ``a/alley``."""
    depth = pc.count_substring(records.photos["path"], "/").to_numpy()
    landmark = records.classes["landmark_id"].to_pylist()
    suspect = np.isin(records.labels, [landmark.index(name) for name in ids])
    shared = np.unique(depth[~suspect])
    alone = ~np.isin(depth, shared) & suspect
    return sorted({landmark[label] for label in np.unique(records.labels[alone]).tolist()})


def _untrained(records: Records) -> str | None:
    """A split of the source of whose classes none is in train: ``test/unknown``."""
    if records.given is None:
        return None
    train = np.unique(records.labels[(records.given == 0) | (records.given == UNKNOWN)])
    for place, split in enumerate(SPLITS[1:], 1):
        labels = np.unique(records.labels[records.given == place])
        if len(train) and len(labels) and not np.isin(labels, train).any():
            ids = [records.classes["landmark_id"][label].as_py() for label in labels.tolist()]
            return (
                f"none of the classes of {split} has a photo in train: "
                f"{', '.join(ids[:_EXAMPLES])}; if they are no classes, leave them out with "
                f"--exclude-classes {shlex.quote(comma_text(ids))}"
            )
    return None


def _beside(source: Path, records: Records) -> str | None:
    table = unused_table(source, records.photos["path"])
    if table is None:
        return None
    return (
        "a table beside the photos looks like their labels but is not used; if the labels are in "
        f"it, give {table}"
    )


def _unlabelled(records: Records) -> str | None:
    lost = sum(n for why, n in reasons(records).items() if why.startswith("not in "))
    if lost <= len(records.photos):
        return None
    if records.kind == class_folders.NAME:
        return (
            f"most photos have no label: {lost:,} are not in a class folder, "
            f"{len(records.photos):,} are; put each into the folder of its class, or give a table "
            "with columns path and label as --source"
        )
    if records.kind not in _LABELLED:
        return None
    return (
        f"most photos have no label: {lost:,} are not in {records.label_file}, "
        f"{len(records.photos):,} are; check that --labels is the right file"
    )


def _missing(source: Path, records: Records) -> str | None:
    """Most rows of a table, or most ids of a label file, name no photo that is there."""
    if records.kind in _TABLES and isinstance(records.reader, FolderReader):
        share = paths_there(records.photos["path"], [Path(records.reader.root)]).share
        if share < 0.5:
            return (
                f"most photos of {records.label_file} are not there: of a sample {share:.0%} are "
                f"in {records.reader.root}; name their folder with --root"
            )
    lost = reasons(records).get("no file", 0)
    if lost > len(records.photos):
        return (
            f"most ids of {records.label_file} have no photo: {lost:,} of "
            f"{lost + len(records.photos):,}; check that all photos are in {source}"
        )
    return None
