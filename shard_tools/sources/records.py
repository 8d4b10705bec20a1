"""What every layout is read into: a table of photos with labels, a reader, and the rejects.

Each layout has a module of its own in this folder that makes these. Building, statistics and
everything else start from them and know no layout.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
import pyarrow as pa

from shard_tools.columns import mask, pc
from shard_tools.errors import StoreError
from shard_tools.sources.readers import PhotoReader

PHOTOS_SCHEMA = pa.schema([("key", pa.string()), ("path", pa.string())])
#: Rejected photos and files: ``reason`` is one of a few phrases to count by, ``detail`` says more.
REJECTED_SCHEMA = pa.schema(
    [
        ("key", pa.string()),
        ("path", pa.string()),
        ("landmark_id", pa.string()),
        ("reason", pa.string()),
        ("detail", pa.string()),
    ]
)


@dataclass(frozen=True)
class Records:
    """All photos of a source that have one label."""

    kind: str
    """Name of the layout."""
    reader: PhotoReader
    """Reads a photo by its path; ``reader.of(photos)`` is what a worker is given."""
    photos: pa.Table
    """``PHOTOS_SCHEMA``, one row per photo, keys are unique; then the columns of the reader."""
    labels: np.ndarray
    """Row in ``classes`` of each photo. Shape (photos,), int32."""
    classes: pa.Table
    """Columns ``landmark_id`` and ``name`` (may be null), in the order of the labels."""
    rejected: pa.Table
    """``REJECTED_SCHEMA``: ids without a file, files without an id, and the like."""
    label_file: str | None = None
    """Name of the file the labels came from, where there is one."""
    notes: Mapping[str, Any] = field(default_factory=dict)
    """Counts that a user should know but that are not faults of single photos."""
    groups: np.ndarray | None = None
    """Number of each photo's group of duplicates, -1 where it has none; None: no search was made.
    Shape (photos,), int64."""
    duplicates: pa.Table | None = None
    """``duplicates.SCHEMA``, including dropped photos; None: no search was made."""
    whole_digests: pa.Array | None = None
    """``photo_digest`` of each photo that a strict decoder has read to its end, null for the
    others; None: no photo was read yet."""
    carried: pa.Table | None = None
    """Columns of the label file that go into ``samples.parquet``, one row per photo."""

    def take(self, rows: np.ndarray) -> Records:
        """The records of some photos, in the order of ``rows``; classes keep their labels.

        Args:
            rows: of the photos to take. Shape (M,), integers.
        """
        if len(rows) == len(self.photos) and np.array_equal(rows, np.arange(len(rows))):
            return self
        at = pa.array(rows)
        digests, carried = self.whole_digests, self.carried
        return replace(
            self,
            photos=self.photos.take(at),
            labels=self.labels[rows],
            groups=None if self.groups is None else self.groups[rows],
            whole_digests=None if digests is None else digests.take(at),
            carried=None if carried is None else carried.take(at),
        )


@dataclass(frozen=True)
class Listing:
    """The files of a source, before anything is known of their labels."""

    files: pa.Table
    """Column ``path``, unique and in a fixed order; then the columns of the reader."""
    reader: PhotoReader
    rejected: tuple[pa.Table, ...] = ()
    """``REJECTED_SCHEMA``: files that cannot be used whatever their label."""

    @property
    def paths(self) -> pa.ChunkedArray:
        """Paths of all files. Strings."""
        return self.files["path"]


def rejects(
    reason: str,
    key: pa.Array | pa.ChunkedArray | None = None,
    path: pa.Array | pa.ChunkedArray | None = None,
    landmark_id: pa.Array | pa.ChunkedArray | None = None,
    detail: pa.Array | pa.ChunkedArray | None = None,
) -> pa.Table:
    """Rows of the rejected table for one reason; columns not given are empty."""
    given = [key, path, landmark_id, None, detail]
    length = next(len(column) for column in given if column is not None)
    columns = [pa.array([""] * length) if column is None else column for column in given]
    columns[3] = pa.array([reason] * length, pa.string())
    return pa.table(columns, names=REJECTED_SCHEMA.names).cast(REJECTED_SCHEMA)


def file_rejects(
    reason: str, ids: pa.ChunkedArray, paths: pa.ChunkedArray, which: np.ndarray, detail: str = ""
) -> pa.Table:
    """Rejected rows for the files where ``which`` is true. Shape (files,), bool."""
    those = mask(which)
    details = pa.array([detail] * int(which.sum()), pa.string())
    return rejects(reason, key=ids.filter(those), path=paths.filter(those), detail=details)


def photo_table(ids: pa.ChunkedArray, files: pa.Table) -> pa.Table:
    """The photos of ``files``, with keys made from their ids or names."""
    keys = make_keys(ids, files["path"])
    return files.add_column(0, PHOTOS_SCHEMA.field("key"), keys)


PHOTO_SUFFIXES = (
    *("jpg", "jpeg", "jpe", "jfif", "png", "webp", "avif", "gif"),
    *("bmp", "tif", "tiff", "jp2", "ppm", "pgm", "pnm"),
)


def stems(paths: pa.ChunkedArray) -> pa.ChunkedArray:
    """File names without folders and without the last suffix."""
    return pc.replace_substring_regex(file_names(paths), r"(.)\.[^.]*$", r"\1")


def file_names(paths: pa.ChunkedArray) -> pa.ChunkedArray:
    """File names without folders."""
    return pc.replace_substring_regex(paths, "^.*/", "")


def is_photo(paths: pa.ChunkedArray) -> pa.ChunkedArray:
    """Which paths have the suffix of a photo. Booleans."""
    pattern = rf"\.({'|'.join(PHOTO_SUFFIXES)})$"
    return pc.match_substring_regex(paths, pattern, ignore_case=True)


_UNSAFE = re.compile(r"[^A-Za-z0-9_-]+")

_LONGEST = 80
"""Of a key, in characters: a tar name has room for 100."""

_DIGITS = 12


def make_keys(names: pa.ChunkedArray, paths: pa.ChunkedArray) -> pa.ChunkedArray:
    """A unique key for every photo, of letters, digits, ``_`` and ``-`` only.

    A name that is valid already, and that no other photo has, is the key. In any other, invalid
    characters become ``_``, and 12 digits of a hash of the path follow. WebDataset would cut a name
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
