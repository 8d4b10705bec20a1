"""Shards of a remote store in a local folder: fetched ahead of need, checked, shared, limited.

All processes of a machine may use one folder: each shard is fetched by one of them, under a lock
that ends with its holder; the others wait for the file.
"""

from __future__ import annotations

import contextlib
import fcntl
import hashlib
import logging
import os
import threading
import time
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path

from shard_tools.errors import StoreError
from shard_tools.store import ShardInfo, Store

logger = logging.getLogger(__name__)

_CHUNK = 1 << 20
_FETCHERS = 4
_TRIES = 6
_FIRST_PAUSE_S = 0.5


class ShardCache:
    """Local copies of a remote store's shards.

    Args:
        store: an open remote store.
        folder: where the copies go; processes and runs may share it.
        limit: most bytes it should hold; the copies used longest ago go first.
        first_pause_s: pause before the second try of a fetch; it doubles with each.
    """

    def __init__(
        self, store: Store, folder: Path, limit: int, first_pause_s: float = _FIRST_PAUSE_S
    ) -> None:
        # Stores of one name differ by their contents: a rebuilt store must not find old copies.
        digest = hashlib.sha256("".join(s.sha256 for s in store.manifest.shards).encode())
        self.folder = folder / digest.hexdigest()[:16]
        self.folder.mkdir(parents=True, exist_ok=True)
        self._store = store
        self._limit = limit
        self._first_pause_s = first_pause_s
        self._infos = {info.name: info for info in store.manifest.shards}
        self._asked: dict[str, Future[Path]] = {}
        self._lock = threading.Lock()
        self._threads = ThreadPoolExecutor(_FETCHERS, thread_name_prefix="glr-fetch")

    def expect(self, name: str) -> None:
        """Start to fetch a shard that will be needed, if nothing has yet."""
        with self._lock:
            future = self._asked.get(name)
            if future is None or (future.done() and not (self.folder / name).is_file()):
                self._asked[name] = self._threads.submit(self._get, self._infos[name])

    def path(self, name: str) -> Path:
        """The local copy of a shard; waits until it is there.

        Raises:
            StoreError: it cannot be fetched, or arrives damaged, in spite of several tries.
        """
        self.expect(name)
        path = self._asked[name].result()
        with contextlib.suppress(OSError):
            os.utime(path)  # the limit removes the copies used longest ago
        return path

    def close(self) -> None:
        """Let go of what is not yet fetched and end the threads. The copies stay."""
        self._threads.shutdown(wait=True, cancel_futures=True)

    def _get(self, info: ShardInfo) -> Path:
        path = self.folder / info.name
        with _locked(self.folder / f".{info.name}.lock"):
            if not path.is_file():  # another process may have been quicker
                for part in self.folder.glob(f".{info.name}.*.part"):  # of one that was killed
                    part.unlink(missing_ok=True)
                self._make_room(info.bytes)
                self._fetch(info, path)
        return path

    def _fetch(self, info: ShardInfo, path: Path) -> None:
        pause = self._first_pause_s
        for attempt in range(1, _TRIES + 1):
            try:
                return self._fetch_once(info, path)
            except Exception as error:  # each kind of store has its own; all may pass
                if attempt == _TRIES:
                    raise StoreError(
                        f"{self._store.path / info.name}: cannot be fetched, {attempt} tries "
                        f"({error}); check the network and the store"
                    ) from error
                logger.warning("%s: %s; try %d in %.1f s", info.name, error, attempt + 1, pause)
                time.sleep(pause)
                pause *= 2
        return None

    def _fetch_once(self, info: ShardInfo, path: Path) -> None:
        temporary = path.with_name(f".{path.name}.{os.getpid()}.part")
        digest, size = hashlib.sha256(), 0
        try:
            with (self._store.path / info.name).open("rb") as source, open(temporary, "wb") as copy:
                while chunk := source.read(_CHUNK):
                    digest.update(chunk)
                    size += len(chunk)
                    copy.write(chunk)
            if size != info.bytes:
                raise OSError(f"{size} bytes arrived of {info.bytes}")
            if digest.hexdigest() != info.sha256:
                raise OSError("what arrived has another sha256 than the manifest says")
            temporary.replace(path)
        finally:
            temporary.unlink(missing_ok=True)

    def _make_room(self, needed: int) -> None:
        """Remove the copies used longest ago. A process that still maps one keeps reading it."""
        copies = []
        for file in self.folder.parent.glob("*/*.tar"):  # of other stores, too
            with contextlib.suppress(OSError):  # another process removes too
                facts = file.stat()
                copies.append((facts.st_mtime_ns, facts.st_size, file))
        held = sum(size for _, size, _ in copies)
        for _, size, file in sorted(copies, key=lambda copy: copy[0]):
            if held + needed <= self._limit:
                return
            file.unlink(missing_ok=True)
            held -= size


@contextlib.contextmanager
def _locked(file: Path) -> Iterator[None]:
    """Hold a lock that other processes see and that ends with this one."""
    with open(file, "w") as handle:
        fcntl.flock(handle, fcntl.LOCK_EX)
        yield
