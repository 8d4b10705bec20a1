"""Splits by the names that people give them, in folders and in columns."""

from __future__ import annotations

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
#: Columns of a label file that say the split of each photo.
SPLIT_COLUMNS = ("split", "subset")
UNKNOWN = -1


def split_of(name: str) -> int:
    """The place of a name in ``SPLITS``, ``UNKNOWN`` for other names."""
    return SPLIT_NAMES.get(name.strip().lower(), UNKNOWN)


def are_splits(names: list[str]) -> bool:
    """Whether all of some names are those of splits, with train among them."""
    places = {split_of(name) for name in names}
    return UNKNOWN not in places and SPLITS.index("train") in places


def splits_of(column: pa.ChunkedArray | pa.Array) -> np.ndarray:
    """The split of every row of a column of names. Shape (rows,), int8; ``UNKNOWN`` for others."""
    column = column if isinstance(column, pa.ChunkedArray) else pa.chunked_array([column])
    codes = one_array(pc.fill_null(column.cast(pa.string()), "")).dictionary_encode()
    places = np.array([split_of(name) for name in codes.dictionary.to_pylist()], np.int8)
    return places[codes.indices.to_numpy()] if len(codes) else np.empty(0, np.int8)
