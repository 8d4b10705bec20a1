"""Photos as values of a column of parquet files: read a row group at a time, each but once.

A photo cannot be read without its row group. So whoever reads photos in another order than that of
the files has the row groups copied first, to where single photos can be read.
"""

from __future__ import annotations

import os
import tempfile
from collections.abc import Callable, Generator, Iterator, Sequence
from contextlib import contextmanager
from functools import partial
from itertools import groupby
from typing import Any, BinaryIO

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from shard_tools.columns import pc
from shard_tools.errors import PhotoError
from shard_tools.sources.readers import stamps_of

#: The place of a photo; the layout adds these columns to the photo table.
PLACE = ("volume", "group", "row")
NO_BYTES, DAMAGED = -1, -2
"""In place of a size in bytes: the value is null, the row group is damaged."""
_BATCH = 64
"""Photos of a row group that are in memory at a time while it is copied."""
_BUFFER = 8 << 20
"""Bytes of a file that are read at a time."""


class ParquetReader:
    """Photos as values of a column of parquet files."""

    def __init__(
        self,
        files: tuple[str, ...],
        column: str,
        places: dict[str, tuple[int, int, int]] | None = None,
    ) -> None:
        """A reader of all photos (``places`` None; give workers ``of`` it) or of some.

        Args:
            files: paths of the parquet files.
            column: of structs with a field ``bytes``, or of binary values.
            places: path of each photo -> place in ``files``, row group, row in it.
        """
        self.files, self.column, self.places = files, column, places or {}
        self._group: tuple[tuple[int, int], pa.ChunkedArray] | None = None

    def of(self, photos: pa.Table) -> ParquetReader:
        """A reader of the photos of a table with the columns ``path`` and ``PLACE``."""
        paths, *places = (photos[name].to_pylist() for name in ("path", *PLACE))
        known = dict(zip(paths, zip(*places, strict=True), strict=True))
        return ParquetReader(self.files, self.column, known)

    def stamps(self, photos: pa.Table) -> bytes:
        """Size and time of the files."""
        return stamps_of(self.files)

    def read(self, path: str) -> bytes:
        """The bytes of one photo. The row group that it is in stays in memory for the next one.

        Raises:
            OSError: the file cannot be read.
            PhotoError: the value is null, or the file is damaged there.
        """
        volume, group, row = self.places[path]
        with _damage(self.files[volume]):
            value: Any = self._values(volume, group)[row].as_py()
        data = value.get("bytes") if isinstance(value, dict) else value
        if data is None:
            raise no_bytes()
        return data

    def ahead(self, paths: Sequence[str]) -> Generator[Callable[[], bytes], None, None]:
        """As :func:`shard_tools.sources.readers.reads`: every row group is read once.

        Photos in another order than that of the files come from a temporary file, which takes as
        much of the disk as they do.
        """
        groups = [self.places[path][:2] for path in paths]
        if groups == sorted(groups):
            yield from (partial(self.read, path) for path in paths)
            return
        with tempfile.TemporaryFile(prefix="glr-") as file:
            spans = self._copied(paths, file)
            file.flush()
            for path in paths:
                offset, size = spans[path]
                # What has no bytes, or is damaged, says so when its turn has come.
                known = partial(os.pread, file.fileno(), size, offset)
                yield known if size >= 0 else partial(self.read, path)

    def _copied(self, paths: Sequence[str], file: BinaryIO) -> dict[str, tuple[int, int]]:
        """Append photos to a file, in their own order; offset and size of each, by its path."""
        spans: dict[str, tuple[int, int]] = {}
        ordered = sorted(set(paths), key=lambda path: self.places[path])
        for (volume, group), some in groupby(ordered, lambda path: self.places[path][:2]):
            inside = list(some)
            rows = np.array([self.places[path][2] for path in inside])
            found = copy_rows(self.files[volume], self.column, group, rows, file)
            spans |= dict(zip(inside, map(tuple, found.tolist()), strict=True))
        return spans

    def _values(self, volume: int, group: int) -> pa.ChunkedArray:
        if self._group is None or self._group[0] != (volume, group):
            self._group = None  # before the next one is in memory
            with pq.ParquetFile(self.files[volume]) as file:
                values = file.read_row_group(group, columns=[self.column])[self.column]
            self._group = (volume, group), values
        return self._group[1]

    def __getstate__(self) -> dict[str, Any]:
        return {**self.__dict__, "_group": None}


def no_bytes() -> PhotoError:
    """What is said of a null value."""
    return PhotoError("cannot be read", "the data set holds no bytes for it")


def copy_rows(
    source: str,
    column: str,
    group: int,
    rows: np.ndarray,
    out: BinaryIO,
    advance: Callable[[int], object] = int,
) -> np.ndarray:
    """Append the photos of some rows of a row group to a file, holding few of them in memory.

    Args:
        source: path of the parquet file.
        column: of the photos.
        group: number of the row group.
        rows: of the row group, ascending. Shape (photos,), integers.
        out: the file, at its end.
        advance: called with the number of photos copied since the last call; may raise to stop.

    Returns:
        Offset and size of each photo, or ``NO_BYTES`` or ``DAMAGED`` for the size. Shape (photos,
        2), int64.

    Raises:
        OSError: a file cannot be read or written.
    """
    spans = np.zeros((len(rows), 2), np.int64)
    first = done = 0
    try:
        with _damage(source), pq.ParquetFile(source, buffer_size=_BUFFER) as file:
            options = {"row_groups": [group], "columns": [column], "use_threads": False}
            for batch in file.iter_batches(_BATCH, **options):
                stop = int(np.searchsorted(rows, first + len(batch)))
                values = _bytes_of(batch.column(0))
                for place in range(done, stop):
                    data = values[int(rows[place]) - first].as_buffer()
                    spans[place] = out.tell(), NO_BYTES if data is None else len(data)
                    if data is not None:
                        out.write(data)
                advance(stop - done)
                first, done = first + len(batch), stop
            if done < len(rows):
                raise IndexError(f"row group {group} ends after {first} rows")
    except PhotoError:
        spans[:] = 0, DAMAGED  # of all, as for who reads the whole row group
        advance(len(rows) - done)
    return spans


def _bytes_of(array: pa.Array) -> pa.Array:
    """The bytes of the photos as binary values."""
    values = pc.struct_field(array, "bytes") if pa.types.is_struct(array.type) else array
    known = pa.types.is_binary(values.type) or pa.types.is_large_binary(values.type)
    return values if known else values.cast(pa.binary())


@contextmanager
def _damage(file: str) -> Iterator[None]:
    """Say of one file that it is damaged where Arrow cannot make sense of it.

    Raises:
        PhotoError: it is.
        OSError: it cannot be read at all.
    """
    try:
        yield
    except (pa.ArrowException, IndexError) as error:
        raise PhotoError("damaged", f"{file}: {_line(error)}") from None
    except OSError as error:
        if error.errno is not None:  # of the system; Arrow's own, of pages, have no number
            raise
        raise PhotoError("damaged", f"{file}: {_line(error)}") from None


def _line(error: Exception) -> str:
    return " ".join(str(error).split())
