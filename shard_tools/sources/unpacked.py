"""Parquet files unpacked into the work folder of a build, where single photos can be read.

A build packs photos in a random order, and every shard has photos of nearly all row groups. So each
row group is copied once, before anything else: into a file of its own that begins with a directory.
Row ``r`` of the directory has offset and size of the photo in row ``r``, two int64.
"""

from __future__ import annotations

import hashlib
import struct
from collections.abc import Callable
from contextlib import closing
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import numpy as np
import pyarrow as pa
from tqdm import tqdm

from shard_tools.errors import StoreError
from shard_tools.files.atomic import atomic_open
from shard_tools.files.read_ahead import Handles
from shard_tools.files.remote import is_remote
from shard_tools.sources.parquet_reader import (
    DAMAGED,
    NO_BYTES,
    PLACE,
    ParquetReader,
    copy_rows,
    no_bytes,
)
from shard_tools.sources.readers import PhotoReader, check_bytes
from shard_tools.workers.executor import Executor
from shard_tools.workers.tasks import Advance

UNPACKED = r"photos-\d+-\d+-[0-9a-f]+\.bin"
"""Names of the files, as a pattern."""
_ENTRY = struct.Struct("<qq")


@dataclass(frozen=True)
class UnpackTask:
    """One row group to be copied. Pickled to a worker."""

    file: Path
    """Where it goes."""
    source: str
    column: str
    group: int
    rows: np.ndarray
    """Rows that are copied, ascending. Shape (photos,), int64."""


class UnpackedReader:
    """Photos of parquet files that have been unpacked."""

    def __init__(self, packed: ParquetReader, folder: Path, digest: str) -> None:
        """A reader of the photos that ``packed`` reads.

        Args:
            packed: knows where they are in the parquet files.
            folder: of the copies.
            digest: part of their names.
        """
        self._packed, self._folder, self._digest = packed, folder, digest
        self._files, self._spans = Handles(), dict[str, tuple[str, int, int]]()

    def of(self, photos: pa.Table) -> UnpackedReader:
        """A reader of the photos of a table with the columns ``path`` and ``PLACE``."""
        return UnpackedReader(self._packed.of(photos), self._folder, self._digest)

    def stamps(self, photos: pa.Table) -> bytes:
        """Size and time of the parquet files."""
        return self._packed.stamps(photos)

    def read(self, path: str) -> bytes:
        """The bytes of one photo.

        Raises:
            OSError: the copy cannot be read.
            PhotoError: the value is null, or the parquet file is damaged there.
            StoreError: the copy is gone or damaged.
        """
        if not self._spans:
            self._spans = self._find()
            self._files.will_read(span for span in self._spans.values() if span[2] > 0)
        file, offset, size = self._spans[path]
        if size == NO_BYTES:
            raise no_bytes()
        if size == DAMAGED:
            return self._packed.read(path)  # and says what is wrong
        check_bytes(size)
        data = self._files.read(file, offset, size)
        if len(data) < size:
            raise self._gone(f"{file} ends early")
        return data

    def _find(self) -> dict[str, tuple[str, int, int]]:
        """File, offset and size of each photo, by its path."""
        spans = {}
        try:
            places = sorted(self._packed.places.items(), key=lambda item: item[1])
            for path, (volume, group, row) in places:
                file = str(self._folder / _name(volume, group, self._digest))
                entry = self._files.read(file, row * _ENTRY.size, _ENTRY.size)
                spans[path] = (file, *_ENTRY.unpack(entry))
        except (OSError, struct.error) as error:  # no fault of the photos: none is rejected
            raise self._gone(str(error)) from None
        return spans

    def _gone(self, what: str) -> StoreError:
        return StoreError(
            f"{self._folder}: photos that were unpacked there cannot be read ({what}); remove this "
            "folder, then run the same command again"
        )


def unpacked(
    reader: PhotoReader, photos: pa.Table, folder: Path, executor: Executor, progress: bool | None
) -> PhotoReader:
    """A reader that gives the photos one by one: of parquet files, from copies made here.

    Copies that an interrupted build has left are taken.

    Args:
        reader: of the source. Those of other layouts are returned as they are; so is any reader if
            the folder is in an object store, where each shard then copies what it needs.
        photos: those that are wanted.
        folder: of the copies; made if it is missing.
        executor: who does it.
        progress: show a bar; None shows it where stderr is a terminal.

    Raises:
        OSError: the source has gone, or the disk is full.
    """
    if not isinstance(reader, ParquetReader) or is_remote(folder) or not len(photos):
        return reader
    folder.mkdir(parents=True, exist_ok=True)
    places = np.stack([photos[name].to_numpy().astype(np.int64) for name in PLACE], axis=1)
    places = places[np.lexsort(places.T[::-1])]
    stamps = reader.stamps(photos)
    digest = hashlib.sha256(repr(reader.files).encode() + stamps + places.tobytes()).hexdigest()[
        :16
    ]
    edges = np.flatnonzero(np.any(np.diff(places[:, :2], axis=0) != 0, axis=1)) + 1
    tasks: list[Callable[[], UnpackTask]] = []
    ready = 0
    for part in np.split(places, edges):
        volume, group = part[0, :2].tolist()
        file = folder / _name(volume, group, digest)
        if file.exists():
            ready += len(part)
        else:
            task = UnpackTask(file, reader.files[volume], reader.column, group, part[:, 2])
            tasks.append(partial(_same, task))
    hidden = None if progress is None else not progress  # None: hidden unless on a terminal
    with (
        tqdm(
            total=len(places), initial=ready, desc="unpack", unit=" photos", disable=hidden
        ) as bar,
        closing(executor.run(unpack_group, tasks, bar.update)) as done,
    ):
        for _ in done:
            pass
    return UnpackedReader(reader, folder, digest)


def unpack_group(task: UnpackTask, advance: Advance) -> int:
    """Copy one row group, in a worker; the number of its photos."""
    with atomic_open(task.file) as out:
        directory = np.zeros((int(task.rows[-1]) + 1, 2), "<i8")
        out.write(directory.tobytes())
        directory[task.rows] = copy_rows(
            task.source, task.column, task.group, task.rows, out, advance
        )
        out.seek(0)
        out.write(directory.tobytes())
    return len(task.rows)


def _same(task: UnpackTask) -> UnpackTask:
    return task


def _name(volume: int, group: int, digest: str) -> str:
    return f"photos-{volume:06d}-{group:06d}-{digest}.bin"
