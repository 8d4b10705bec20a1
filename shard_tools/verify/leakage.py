"""Photos that are in two splits at once: equal to the byte, or copies of one picture."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import pyarrow as pa

from shard_tools.columns import one_array, pc
from shard_tools.store.consistency import codes
from shard_tools.store.layout import DUPLICATES, SAMPLES, SPLITS
from shard_tools.store.problems import Findings, Problem


def check_leakage(samples: pa.Table) -> list[Problem]:
    """Photos that are in two splits with the same bytes."""
    found = Findings(SAMPLES)
    if not len(samples):
        return found
    digests = one_array(samples["xxh128"])
    words = np.frombuffer(digests.buffers()[1], "<u8").reshape(-1, 2)[digests.offset :]
    words = words[: len(digests)]
    order = np.argsort(words[:, 0])
    first = words[order, 0]
    tied = np.concatenate([[False], first[1:] == first[:-1]])
    order = order[tied | np.append(tied[1:], False)]  # few: the rest of the bytes decides of these
    if not len(order):
        return found
    order = order[np.lexsort([order, *words[order].T])]
    same = (words[order[1:]] == words[order[:-1]]).all(axis=1)
    group = np.concatenate([[0], np.cumsum(~same)])
    items = _across(samples, order, group)
    found.add_all("leakage", "the same photo, to the byte, in two splits", list(items))
    return found


def check_duplicates(samples: pa.Table, groups: pa.Table) -> list[Problem]:
    """Copies of one picture, as ``duplicates.csv`` groups them, that are in two splits.

    Args:
        samples: the samples table.
        groups: columns ``group`` and ``key``, strings; keys that were left out may be among them.
    """
    found = Findings(DUPLICATES)
    row = pc.index_in(groups["key"], value_set=one_array(samples["key"]))
    groups = groups.filter(pc.is_valid(row))
    rows = row.drop_null().to_numpy()
    group = one_array(groups["group"]).dictionary_encode().indices.to_numpy()
    split = codes(samples["split"], list(SPLITS))[rows]
    order = np.lexsort([split, group])
    items = _across(samples, rows[order], group[order])
    found.add_all("leakage", "copies of one picture in two splits", list(items))
    return found


def _across(samples: pa.Table, rows: np.ndarray, group: np.ndarray) -> Iterator[str]:
    """Pairs of photos of one group that are in different splits.

    Args:
        samples: the samples table.
        rows: of shape (N,), rows of the table, those of a group side by side.
        group: of shape (N,), the group of each, ascending.
    """
    split = codes(samples["split"], list(SPLITS))[rows]
    torn = np.flatnonzero((np.diff(split) != 0) & (np.diff(group) == 0))
    for place in torn.tolist():
        pair = [samples.slice(int(row), 1).to_pylist()[0] for row in rows[place : place + 2]]
        yield " and ".join(f"{row['key']} in {row['split']}" for row in pair)
