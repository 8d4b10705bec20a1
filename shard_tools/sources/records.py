"""What every source comes down to: a table of photos with labels, a reader, and what was left out.

Each layout has a module of its own in this folder that makes these. Building, statistics and
everything else start from them and know no layout.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pyarrow as pa

from shard_tools.columns import mask
from shard_tools.sources.folder import PhotoReader
from shard_tools.sources.keys import make_keys

PHOTOS_SCHEMA = pa.schema([("key", pa.string()), ("path", pa.string())])
#: What did not get in: ``reason`` is one of a few phrases to count by, ``detail`` says more.
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
    """One of ``records.LAYOUTS``."""
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
    """Counts that a person should know and that are no faults of single photos."""
    groups: np.ndarray | None = None
    """Number of each photo's group of duplicates, -1 where it has none; None: nobody has looked.
    Shape (photos,), int64."""
    duplicates: pa.Table | None = None
    """``duplicates.SCHEMA``, the dropped ones included; None: nobody has looked."""
    whole_digests: pa.Array | None = None
    """``format.photo_digest`` of each photo that a strict decoder has read to its end, null for the
    others; None: nobody has looked."""


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
