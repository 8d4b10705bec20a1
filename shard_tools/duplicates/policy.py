"""What a build does about duplicates: look for them, keep them in one split, or drop them."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pyarrow as pa

from shard_tools.columns import mask, one_array, pc
from shard_tools.duplicates.grouping import find_duplicates
from shard_tools.duplicates.scan import scan
from shard_tools.sources.records import Records, rejects
from shard_tools.workers.executor import Executor

#: What a build does about duplicates.
DUPLICATE_MODES = ("keep", "one-split", "drop")


def deduplicated(
    records: Records,
    mode: str,
    *,
    source: Path,
    max_pixels: int,
    work: Path,
    executor: Executor,
    progress: bool | None,
) -> Records:
    """The records with their duplicates grouped, or with all but one of each group left out.

    Args:
        records: of all photos that may go in.
        mode: one of ``DUPLICATE_MODES``.
        source: where the photos come from; fingerprints of another source are not reused.
        max_pixels: larger photos are compared by their bytes alone.
        work: folder that keeps the fingerprints, so that an interrupted search can continue.
        executor: where the photos are fingerprinted.
        progress: show a bar; None shows it where stderr is a terminal.
    """
    if mode == "keep":
        return records
    fingerprints = scan(records, source, work, max_pixels, executor, progress)
    ids = records.classes["landmark_id"]
    whole = pc.if_else(fingerprints["whole"], fingerprints["xxh128"], None)
    found = find_duplicates(fingerprints, records.photos, records.labels, ids, mode == "drop")
    kept = np.flatnonzero(~found.dropped)
    gone = records.photos.filter(mask(found.dropped))
    groups = found.groups[found.dropped]
    dropped = rejects(
        "duplicate",
        key=gone["key"],
        path=gone["path"],
        landmark_id=ids.take(pa.array(records.labels[found.dropped])),
        detail=pa.array([f"group {group} in duplicates.csv" for group in groups], pa.string()),
    )
    known = replace(records, groups=found.groups, whole_digests=one_array(whole))
    return replace(
        known.take(kept),
        rejected=pa.concat_tables([records.rejected, dropped]),
        duplicates=found.table,
        notes={**records.notes, "duplicates": found.notes()},
    )
