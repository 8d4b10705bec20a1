"""One pass over a source before it is split: the fingerprint of every photo, in parallel.

Results are kept in parts in the work folder, so that an interrupted pass goes on where it stopped.
"""

from __future__ import annotations

import hashlib
import io
from collections.abc import Callable
from contextlib import closing
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
from tqdm import tqdm

from shard_tools.columns import one_array
from shard_tools.duplicates.fingerprint import Fingerprint, fingerprint
from shard_tools.duplicates.grouping import FINGERPRINTS_SCHEMA
from shard_tools.errors import PhotoError
from shard_tools.files.atomic import atomic_open
from shard_tools.files.remote import is_remote
from shard_tools.sources.readers import FILE_ERRORS, PhotoReader, reads, stamped
from shard_tools.sources.records import Records
from shard_tools.workers.executor import Executor
from shard_tools.workers.tasks import Advance

_VERSION = 2
"""Fingerprint version; cached parts of other versions are recomputed."""
_PART = 2048
"""Photos scanned by one task."""


@dataclass(frozen=True)
class ScanTask:
    """One part of the pass. Pickled to a worker."""

    file: Path
    """Where the result goes in the end."""
    reader: PhotoReader
    paths: pa.Array
    max_pixels: int
    """Larger photos are not decoded."""


def scan(
    records: Records,
    source: Path,
    folder: Path,
    max_pixels: int,
    executor: Executor,
    progress: bool | None = None,
) -> pa.Table:
    """The fingerprints of all photos, in their order: ``FINGERPRINTS_SCHEMA``.

    Args:
        records: the photos.
        source: where they are from; parts of another source are not taken for this one's.
        folder: where parts are kept; made if it is missing.
        max_pixels: larger photos are compared by their bytes alone.
        executor: who does it.
        progress: show a bar; None shows it where stderr is a terminal.

    Raises:
        OSError: the source has gone, or the disk is full.
    """
    if not is_remote(folder):
        folder.mkdir(parents=True, exist_ok=True)
    done: dict[Path, pa.Table] = {}
    tasks = []
    for start in range(0, len(records.photos), _PART):
        photos = records.photos.slice(start, _PART)
        digest = _digest(source, photos, stamped(records.reader, photos), max_pixels)
        file = folder / f"scan-{start // _PART:06d}-{digest}.parquet"
        part = _kept(file)
        done[file] = pa.table({}) if part is None else part  # in the order of the photos
        if part is None:
            tasks.append(partial(_task, records, start, file, max_pixels))
    ready = sum(len(part) for part in done.values())
    hidden = None if progress is None else not progress  # None: hidden unless on a terminal
    with (
        tqdm(
            total=len(records.photos), initial=ready, desc="scan", unit=" photos", disable=hidden
        ) as bar,
        closing(executor.run(scan_part, tasks, bar.update)) as results,
    ):
        for file, part in results:
            with atomic_open(file) as out:
                pq.write_table(part, out)
            done[file] = part
    return pa.concat_tables(done.values()) if done else FINGERPRINTS_SCHEMA.empty_table()


def scan_part(task: ScanTask, advance: Advance) -> tuple[Path, pa.Table]:
    """Fingerprints of some photos, in a worker."""
    rows: list[Fingerprint | None] = []
    with closing(reads(task.reader, task.paths.to_pylist())) as photos:
        for read in photos:
            rows.append(_one(read, task.max_pixels))
            advance(1)
    columns = [
        pa.array([row and getattr(row, field.name) for row in rows], field.type)
        for field in FINGERPRINTS_SCHEMA
    ]
    return task.file, pa.table(columns, schema=FINGERPRINTS_SCHEMA)


def _one(read: Callable[[], bytes], max_pixels: int) -> Fingerprint | None:
    try:
        data = read()
    except PhotoError:
        return None
    except OSError as error:
        if error.errno in FILE_ERRORS:
            return None
        raise
    return fingerprint(data, max_pixels)


def _task(records: Records, start: int, file: Path, max_pixels: int) -> ScanTask:
    photos = records.photos.slice(start, _PART).combine_chunks()
    return ScanTask(file, records.reader.of(photos), one_array(photos["path"]), max_pixels)


def _digest(source: Path, photos: pa.Table, stamps: bytes, max_pixels: int) -> str:
    """Digest of what decides a part: the photos, where they are, and when they were changed."""
    digest = hashlib.sha256(f"{_VERSION} {source.resolve()} {max_pixels}".encode())
    sink = pa.BufferOutputStream()
    with pa.ipc.new_stream(sink, photos.schema) as writer:
        writer.write_table(photos.combine_chunks())
    digest.update(sink.getvalue())
    digest.update(stamps)
    return digest.hexdigest()[:16]


def _kept(file: Path) -> pa.Table | None:
    try:
        table = pq.read_table(io.BytesIO(file.read_bytes()))
    except (OSError, pa.ArrowException):
        return None
    return table if table.schema.equals(FINGERPRINTS_SCHEMA) else None
