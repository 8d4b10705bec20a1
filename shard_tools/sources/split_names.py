"""Splits by the names that people give them, in folders and in columns."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping

import numpy as np
import pyarrow as pa

from shard_tools.columns import one_array, pc
from shard_tools.store.layout import SPLITS

#: What people call a split -> its place in ``SPLITS``. Compared without regard to case.
SPLIT_NAMES = {
    **dict.fromkeys(("train", "training"), SPLITS.index("train")),
    **dict.fromkeys(("val", "valid", "validation", "dev"), SPLITS.index("val")),
    **dict.fromkeys(("test", "testing"), SPLITS.index("test")),
}
UNKNOWN = -1
SPLIT_ADVICE = "name them train, val and test"


def split_of(name: str) -> int:
    """The place of a name in ``SPLITS``, ``UNKNOWN`` for other names."""
    return SPLIT_NAMES.get(name.strip().lower(), UNKNOWN)


def roughly_split_of(name: str) -> int:
    """The same for names with more in them: ``train_mini``, ``test1``, ``seg_train``.

    ``UNKNOWN`` also for names of several splits, such as ``train_val2018``.
    """
    words = re.split(r"[\W\d_]+", name.lower())
    found = {SPLIT_NAMES[word] for word in words if word in SPLIT_NAMES}
    return found.pop() if len(found) == 1 else UNKNOWN


def as_splits(names: Iterable[str]) -> dict[str, int]:
    """The split of every name, if all are called like splits; else nothing.

    Names with more in them count only where they tell several splits apart: a lone ``train_set``
    may be anything.
    """
    names = list(names)
    exact = {name: split_of(name) for name in names}
    if UNKNOWN not in exact.values():
        return exact
    rough = {name: roughly_split_of(name) for name in names}
    several = UNKNOWN not in rough.values() and len(set(rough.values())) > 1
    return rough if several else {}


def splits_of(
    column: pa.ChunkedArray | pa.Array, known: Mapping[str, int] | None = None
) -> np.ndarray:
    """The split of every row of a column of names. Shape (rows,), int8; ``UNKNOWN`` for others.

    Args:
        column: strings.
        known: split of each name; None takes ``split_of``.
    """
    column = column if isinstance(column, pa.ChunkedArray) else pa.chunked_array([column])
    codes = one_array(pc.fill_null(column.cast(pa.string()), "")).dictionary_encode()
    names = codes.dictionary.to_pylist()
    found = [split_of(name) if known is None else known.get(name, UNKNOWN) for name in names]
    return np.array(found, np.int8)[codes.indices.to_numpy()] if names else np.empty(0, np.int8)


def lone_folders(paths: pa.ChunkedArray) -> str:
    """The folders that hold everything, with a slash at the end: ``a/b/`` for ``a/b/*/1.jpg``.

    A folder called like a split is not among them, nor is one that holds a file itself.
    """
    top = ""
    while len(paths):
        below = pc.utf8_slice_codeunits(paths, len(top))
        names = pc.unique(pc.replace_substring_regex(below, "(?s)/.*$", "")).to_pylist()
        nested = pc.all(pc.match_substring_regex(below, "(?s)/.*/")).as_py()
        if len(names) != 1 or not nested or split_of(names[0]) != UNKNOWN:
            break
        top += f"{names[0]}/"
    return top


def splits_in_paths(paths: pa.ChunkedArray) -> np.ndarray | None:
    """The split of every path of a table by its outermost folder: ``images/test/1.jpg``.

    Returns:
        Shape (paths,), int8; None where the outermost folders are not splits, or only one.
    """
    below = pc.utf8_slice_codeunits(paths, len(_shared(paths)))
    first = pc.replace_substring_regex(below, "(?s)/.*$", "")
    nested = len(paths) and pc.all(pc.match_substring(below, "/")).as_py()
    known = as_splits(pc.unique(first).to_pylist()) if nested else {}
    return splits_of(first, known) if len(set(known.values())) > 1 else None


def _shared(paths: pa.ChunkedArray) -> str:
    """The folders that all paths begin with, with a slash at the end."""
    ends = pc.min_max(paths)
    if not len(paths):
        return ""
    low, high = ends["min"].as_py(), ends["max"].as_py()
    same = next((i for i, (a, b) in enumerate(zip(low, high, strict=False)) if a != b), len(low))
    return low[: low.rfind("/", 0, same) + 1]
