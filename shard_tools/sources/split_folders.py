"""Folders that are splits: found above, below or between those of the classes, and taken off."""

from __future__ import annotations

import shlex
from collections import Counter
from pathlib import Path

import numpy as np
import pyarrow as pa

from shard_tools.columns import mask, pc
from shard_tools.errors import StoreError
from shard_tools.sources.advice import label_advice
from shard_tools.sources.split_names import (
    UNKNOWN,
    as_splits,
    lone_folders,
    roughly_split_of,
    split_of,
    splits_of,
)

_SHOWN = 3
"""Folders named in a message, at most."""


def folders_of_splits(photos: pa.ChunkedArray) -> str:
    """The folders, with a slash, that hold everything down to splits with class folders; else "".

    Around class folders without splits one more folder changes nothing, and ``cat/train/1.jpg`` is
    a class with splits below it.
    """
    top = lone_folders(photos)
    below = pc.utf8_slice_codeunits(photos, len(top))
    level = pc.unique(pc.replace_substring_regex(below, "(?s)/.*$", "")).to_pylist()
    classes = pc.any(pc.match_substring_regex(below, "(?s)/.*/"), min_count=0).as_py()
    return top if classes and as_splits(level) else ""


def without_splits(
    source: Path, folders: pa.ChunkedArray, usable: pa.Array, which: str | None
) -> tuple[np.ndarray | None, pa.ChunkedArray]:
    """Take the splits, outermost or innermost, off the folders of all files.

    A lone ``train`` with class folders in it is a level that says nothing: all is to be split.

    Returns:
        The split of every file, shape (files,), int8, None where the folders say none; and the
        folders without it.
    """
    known = _split_level(source, folders.filter(usable), which)
    if known:
        first = pc.replace_substring_regex(folders, "(?s)/.*$", "")
        given = splits_of(first, known) if len(set(known.values())) > 1 else None
        folders = pc.replace_substring_regex(folders, "(?s)^[^/]*/?", "")
        return given, _without_repeats(first, folders, usable)
    if _split_below(folders.filter(usable)):
        last = pc.replace_substring_regex(folders, "(?s)^.*/", "")
        return splits_of(last), pc.replace_substring_regex(folders, "(?s)/?[^/]*$", "")
    return None, folders


def _without_repeats(
    first: pa.ChunkedArray, folders: pa.ChunkedArray, usable: pa.Array
) -> pa.ChunkedArray:
    """Folders without a repeated folder of the split: ``cat`` of ``train/train/cat``.

    Only where all class folders are in such a one; else ``train`` may be a class.
    """
    second = pc.replace_substring_regex(folders, "(?s)/.*$", "")
    empty = pc.equal(folders, "")
    repeated = pc.or_(pc.equal(first, second), empty)
    deep = pc.match_substring(folders.filter(usable), "/")
    if not pc.all(repeated.filter(usable)).as_py() or not pc.any(deep, min_count=0).as_py():
        return folders
    rest = pc.replace_substring_regex(folders, "(?s)^[^/]*/?", "")
    return pc.if_else(repeated, rest, folders)


def _split_level(source: Path, folders: pa.ChunkedArray, which: str | None) -> dict[str, int]:
    """The split of each outermost folder, if they are splits with class folders in them.

    Raises:
        StoreError: some of the outermost folders are splits and others are not, or there are no
            class folders in them.
    """
    first = pc.replace_substring_regex(folders, "(?s)/.*$", "")
    names = sorted(name for name in pc.unique(first).to_pylist() if name)
    deep = pc.match_substring(folders, "/").to_numpy()
    holding = sorted(pc.unique(first.filter(mask(deep))).to_pylist())
    known = as_splits(names)
    if not names or not any(roughly_split_of(name) != UNKNOWN for name in holding):
        if names and all(split_of(name) != UNKNOWN for name in names):
            raise StoreError(
                f"--source {source}: its folders {', '.join(names)} are splits, but there are no "
                f"class folders in them; {label_advice(source)}"
            )
        return {}
    if known:
        return known
    rough = [name for name in names if roughly_split_of(name) != UNKNOWN]
    exact = {split_of(name) for name in names} - {UNKNOWN}
    # Names such as train_engines may be those of classes, and --classes path keeps them apart.
    if len({roughly_split_of(name) for name in rough}) > 1 and (len(exact) > 1 or which != "path"):
        others = [name for name in names if name not in rough]
        raise StoreError(
            f"--source {source}: {', '.join(rough)} look like splits, but {listed(others)} beside "
            "them do not; rename those to train, val or test if they are splits, move them away if "
            "not, or give a table of paths, labels and splits"
            + ("" if len(exact) > 1 else "; if they are classes, give --classes path")
        )
    return {}


def refuse_hidden_splits(source: Path, top: str, folders: pa.ChunkedArray) -> None:
    """Refuse splits in the middle of a tree, as ``dataset/train/cat`` beside ``samples/1.jpg``.

    Raises:
        StoreError: folders above those of the classes are called like several splits.
    """
    above: dict[str, set[str]] = {}
    for folder in pc.unique(folders).to_pylist():
        parts = folder.split("/")[:-1]
        for depth, name in enumerate(parts):
            if split_of(name) != UNKNOWN:
                above.setdefault("/".join(parts[:depth]), set()).add(name)
    found = sorted({name for names in above.values() for name in names})
    if len({split_of(name) for name in found}) < 2:
        return
    parents = sorted(parent for parent, names in above.items() if len(names) > 1)
    place = f"{top}{parents[0]}" if parents else ""
    inside = shlex.quote(str(source / place))
    advice = (
        f"give --source {inside}"
        if source.is_dir() and parents
        else f"unpack the zip and give its folder {place}"
        if parents
        else "give a table of paths, labels and splits"
    )
    raise StoreError(
        f"--source {source}: {', '.join(found)} look like splits, but they are in the middle of "
        f"the tree{f', in {place}' if parents else ''}; {advice}"
    )


def _split_below(folders: pa.ChunkedArray) -> bool:
    """Whether the innermost folders are the splits, below those of the classes."""
    if not len(folders) or not pc.all(pc.match_substring(folders, "/")).as_py():
        return False
    last = pc.unique(pc.replace_substring_regex(folders, "(?s)^.*/", "")).to_pylist()
    places = {split_of(name) for name in last}
    return UNKNOWN not in places and len(places) > 1


def alike_folders(folders: pa.ChunkedArray) -> list[str]:
    """Outermost folders that hold folders of the same names, as splits do (and colours may).

    Two to five of them, each with at least half of its folders in another one too. Empty where
    there are none.

    Args:
        folders: of photos. Strings.
    """
    every = pa.chunked_array([pc.unique(pc.utf8_normalize(folders, form="NFC"))])
    top = len(lone_folders(pc.binary_join_element_wise(every, "1.jpg", "/")))
    inside: dict[str, set[str]] = {}
    for folder in every.to_pylist():
        outer, _, inner = folder[top:].partition("/")
        inside.setdefault(outer, set()).update([inner] if inner else [])
    seen = Counter(name for names in inside.values() for name in names)
    alike = [
        outer
        for outer, names in inside.items()
        if len(names) > 1 and 2 * sum(seen[name] > 1 for name in names) >= len(names)
    ]
    return sorted(alike) if 2 <= len(alike) <= 5 else []


def listed(names: list[str]) -> str:
    """The first few of some names, and how many more there are."""
    more = f" and {len(names) - _SHOWN:,} more" if len(names) > _SHOWN else ""
    return ", ".join(names[:_SHOWN]) + more


def listed_all(names: list[str]) -> str:
    """All of some names, such as ``a, b and c``."""
    return " and ".join([", ".join(names[:-1]), names[-1]]) if len(names) > 1 else "".join(names)
