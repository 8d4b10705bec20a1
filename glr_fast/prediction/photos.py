"""Listed photos as a store would hold them: read, checked, upright, in the order of the list."""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import AbstractContextManager, nullcontext

from glr_fast.data import EncodedPhoto
from glr_fast.prediction.listing import Listed, Rejected
from shard_tools.errors import PhotoError
from shard_tools.photos import Photo, PhotoOptions, prepare
from shard_tools.sources import PhotoReader

_AHEAD = 8
"""Photos that are worked on ahead, for each thread."""


def encoded_photos(
    listed: Listed, check: str, threads: int, reject: Callable[[Rejected], None]
) -> Iterator[EncodedPhoto]:
    """Read, check and where necessary re-encode photos, as ``glr-shard build`` would.

    A baseline JPEG keeps its bytes. Everything else becomes an upright JPEG of full size, so an
    answer is the one that the photo gets in a store.

    Args:
        listed: the photos.
        check: ``full`` decodes those that keep their bytes, ``header`` trusts them.
        threads: that read and check.
        reject: is told of photos that cannot be read.

    Yields:
        The others; ``row`` is that of the list.
    """
    options = PhotoOptions(check=check)
    ahead: deque[tuple[int, str, Future[Photo | Rejected]]] = deque()

    def oldest() -> Iterator[EncodedPhoto]:
        row, _, future = ahead.popleft()
        photo = future.result()
        if isinstance(photo, Rejected):
            reject(photo)
        else:
            yield EncodedPhoto(row, photo.data, photo.width, photo.height)

    pool = ThreadPoolExecutor(threads, thread_name_prefix="glr-read")
    try:
        for first, place in listed.chunks():
            # Readers of zips, tars and stores keep files open; two threads may not share them.
            lock = nullcontext() if place.on_disk else threading.Lock()
            for row, path in enumerate(place.files["path"].to_pylist(), first):
                work = place.reader, lock, path, place.root + path, options
                ahead.append((row, path, pool.submit(_read, *work)))
                if len(ahead) > _AHEAD * threads:
                    yield from oldest()
        while ahead:
            yield from oldest()
    finally:
        pool.shutdown(wait=True, cancel_futures=True)


def _read(
    reader: PhotoReader,
    lock: AbstractContextManager[object],
    path: str,
    shown: str,
    options: PhotoOptions,
) -> Photo | Rejected:
    try:
        with lock:
            data = reader.read(path)
        return prepare(data, options)
    except PhotoError as error:
        return Rejected(shown, error.reason, error.detail)
    except OSError as error:
        return Rejected(shown, "cannot be read", error.strerror or str(error))
    except MemoryError:
        return Rejected(shown, "too large", "not enough memory to decode it")
