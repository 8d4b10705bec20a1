"""Keys of photos in a store: unique, and safe as the name of a tar member."""

from __future__ import annotations

import hashlib
import re

import numpy as np
import pyarrow as pa

from shard_tools.columns import pc
from shard_tools.errors import StoreError

_UNSAFE = re.compile(r"[^A-Za-z0-9_-]+")
_LONGEST = 80
"""Of a key, in characters: a tar name has room for 100."""
_DIGITS = 12


def make_keys(names: pa.ChunkedArray, paths: pa.ChunkedArray) -> pa.ChunkedArray:
    """A unique key for every photo, of letters, digits, ``_`` and ``-`` only.

    A name that is so already, and that no other photo has, is the key. Any other gets ``_`` for
    what may not stand in a key, and 12 digits of a hash of its path. WebDataset would cut a name
    at its first dot, and DALI an index line at a space.

    Args:
        names: file names without suffix, or ids. Length N.
        paths: unique path of each. Length N.

    Raises:
        StoreError: two photos come out with the same key.
    """
    safe = pc.match_substring_regex(names, rf"^[A-Za-z0-9_-]{{1,{_LONGEST}}}$").to_numpy()
    counts = pc.value_counts(names)
    shared = counts.field("values").filter(pc.greater(counts.field("counts"), 1))
    alone = ~pc.is_in(names, value_set=shared).to_numpy() if len(shared) else safe
    rows = np.flatnonzero(~(safe & alone))
    if not len(rows):
        return names
    picked = pa.array(rows)
    made = [
        safe_key(name, path)
        for name, path in zip(
            names.take(picked).to_pylist(), paths.take(picked).to_pylist(), strict=True
        )
    ]
    place = np.arange(len(names))
    place[rows] = len(names) + np.arange(len(rows))
    keys = pa.chunked_array([*names.chunks, pa.array(made)]).take(pa.array(place))
    if pc.count_distinct(keys).as_py() != len(keys):
        raise StoreError("two photos get the same key; rename those with odd names")
    return keys


def safe_key(name: str, path: str) -> str:
    """A key for a photo whose name cannot be one."""
    digest = hashlib.blake2b(path.encode(), digest_size=_DIGITS // 2).hexdigest()
    stem = _UNSAFE.sub("_", name)[: _LONGEST - _DIGITS - 1].strip("_")
    return f"{stem}-{digest}" if stem else digest
