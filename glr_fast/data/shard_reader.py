"""Encoded photos by row: views into memory-mapped tars, nothing copied."""

from __future__ import annotations

import errno
import mmap
import os
import resource
from collections import OrderedDict
from contextlib import suppress
from pathlib import Path

import numpy as np

from glr_fast.data.shard_cache import ShardCache
from shard_tools.errors import StoreError
from shard_tools.store import Store

_PAGE = mmap.PAGESIZE
#: Open files that are not shards of one split: those of another, of libraries, of processes.
_OTHER_FILES = 256
#: Shards of a remote store that stay mapped: what is removed from the cache must not keep its disk.
_MAPPED_REMOTE = 64


class ShardReader:
    """The encoded photos of a split.

    Args:
        store: an open store.
        split: one of its splits.
        cache: where the shards of a remote store are copied to; None for a local store.

    Raises:
        StoreError: a shard is missing (when it is first touched).
    """

    def __init__(self, store: Store, split: str, cache: ShardCache | None = None) -> None:
        rows = store.split_rows(split)
        table = store.samples(["shard", "offset", "size"]).slice(rows.start, len(rows))
        shard = table.column("shard").unify_dictionaries().combine_chunks()
        self._first = rows.start
        self._shard = shard.indices.to_numpy().astype(np.int64)
        self._names: list[str] = shard.dictionary.to_pylist()
        self._offset = table.column("offset").to_numpy()
        self._size = table.column("size").to_numpy().astype(np.int64)
        self._folder = store.path
        self._cache = cache
        if cache is None:
            _allow_open_files(len(self._names))
        self._maps: OrderedDict[int, _Mapped] = OrderedDict()
        self._expected: OrderedDict[int, None] = OrderedDict()
        self.doing = "decoding"
        """What the source is waiting for, for messages."""

    @property
    def remote(self) -> bool:
        """Whether shards are fetched from elsewhere."""
        return self._cache is not None

    def encoded(self, rows: np.ndarray) -> list[np.ndarray]:
        """The encoded photos of some rows of the samples table.

        Returns:
            One read-only uint8 array of shape (bytes,) per row, a view that stays valid; empty
            where the shard ends before the photo does.
        """
        place = rows - self._first
        shard, offset = self._shard[place], self._offset[place]
        work = zip(
            shard.tolist(), offset.tolist(), (offset + self._size[place]).tolist(), strict=True
        )
        return [self._mapped(s).view(start, end) for s, start, end in work]

    def expect(self, rows: np.ndarray) -> None:
        """Start reading the photos that will be needed soon; returns at once."""
        place = rows - self._first
        shard, offset = self._shard[place], self._offset[place]
        work = zip(shard.tolist(), offset.tolist(), self._size[place].tolist(), strict=True)
        for s, start, size in work:
            self._mapped(s).expect(start, size)

    def expect_shards(self, rows: np.ndarray) -> None:
        """Start reading or fetching the shards that will be needed soon; returns at once."""
        for shard in np.unique(self._shard[rows - self._first]).tolist():
            if shard in self._expected:
                self._expected.move_to_end(shard)
                continue
            self._expected[shard] = None
            if len(self._expected) > 2 * _MAPPED_REMOTE:
                self._expected.popitem(last=False)
            if self._cache is not None:
                self._cache.expect(self._names[shard])
            else:
                self._mapped(shard).expect(0, None)

    def close(self) -> None:
        """Forget the mapped shards; each is unmapped when the last view of it is gone."""
        self._maps.clear()
        if self._cache is not None:
            self._cache.close()

    def _mapped(self, shard: int) -> _Mapped:
        mapped = self._maps.get(shard)
        if mapped is not None:
            return mapped
        name = self._names[shard]
        if self._cache is None:
            path = self._folder / name
        else:
            self.doing = f"fetching {name}"
            path = self._cache.path(name)
            self.doing = "decoding"
            if len(self._maps) >= _MAPPED_REMOTE:
                self._maps.popitem(last=False)
        try:
            mapped = self._maps[shard] = _Mapped(path)
        except StoreError:
            if self._cache is None or path.exists():
                raise
            # Another process has made room of it just now.
            mapped = self._maps[shard] = _Mapped(self._cache.path(name))
        return mapped


def _allow_open_files(count: int) -> None:
    """Let this process hold so many files open, if the system lets it: a map keeps its file."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = 2 * count + _OTHER_FILES
    if soft == resource.RLIM_INFINITY or soft >= wanted:
        return
    most = wanted if hard == resource.RLIM_INFINITY else min(wanted, hard)
    with suppress(ValueError, OSError):
        resource.setrlimit(resource.RLIMIT_NOFILE, (most, hard))


class _Mapped:
    """A file mapped into memory, read-only."""

    def __init__(self, path: Path) -> None:
        try:
            with open(path, "rb") as file:
                size = os.fstat(file.fileno()).st_size
                if size == 0:  # cannot be mapped
                    self._map, self._bytes = None, np.empty(0, np.uint8)
                    return
                self._map = mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)
        except OSError as error:
            few = error.errno == errno.EMFILE
            remedy = "raise ulimit -n" if few else "copy or build the store again"
            raise StoreError(f"{path}: cannot be read ({error.strerror}); {remedy}") from None
        self._bytes = np.frombuffer(self._map, np.uint8)

    def view(self, start: int, end: int) -> np.ndarray:
        """Bytes from ``start`` to ``end``; none if the file is shorter.

        Reading past the end of a mapped file kills the process, and half a photo is useless.
        """
        return self._bytes[start:end] if end <= len(self._bytes) else self._bytes[:0]

    def expect(self, start: int, size: int | None) -> None:
        """Tell the system that these bytes will be read; None for all from ``start`` on."""
        start -= start % _PAGE
        if self._map is not None and start < len(self._map):
            length = len(self._map) - start if size is None else min(size, len(self._map) - start)
            self._map.madvise(mmap.MADV_WILLNEED, start, length)
