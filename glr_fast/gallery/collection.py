"""Gathers photos as they are recognised, thumbnails made in threads, and writes the page."""

from __future__ import annotations

import os
import shutil
import tempfile
from collections import deque
from collections.abc import Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

from glr_fast.errors import ConfigError
from glr_fast.gallery.page import DATA, INDEX, MARK, THUMBS, Entry, Facts, write_page
from glr_fast.gallery.thumbnails import Thumbnail, thumbnail

_FOLDER = 1000
"""Thumbnails in one folder."""
_AHEAD = 16
"""Thumbnails that are worked on, for each thread."""


@dataclass(frozen=True)
class Shown:
    """A photo that goes onto the page."""

    path: str
    """What to call it."""
    file: Path | None
    """Where the photo itself is, to be opened from the page; None where it is inside a zip."""
    labels: list[int]
    """Most probable labels, best first."""
    probabilities: list[float]
    """Of those labels."""
    unsure: bool
    """Whether it goes to the unsure ones."""
    data: bytes
    """Upright JPEG, from which the thumbnail is made; not kept."""


def check_gallery(folder: Path, overwrite: bool) -> None:
    """Refuse, before any work, a folder that could not take the page.

    Raises:
        ConfigError: it exists and is not empty, unless it is a gallery, with nothing else in it,
            and may be replaced; or it cannot take another's name.
    """
    where = f"--gallery {folder}"
    if not folder.absolute().parent.is_dir():
        raise ConfigError(f"{where}: there is no folder {folder.absolute().parent}")
    if not folder.exists():
        return
    if not folder.is_dir():
        raise ConfigError(f"{where}: is a file; give a folder")
    if folder.is_symlink() or os.path.ismount(folder) or folder.resolve() == Path.cwd():
        raise ConfigError(f"{where}: cannot be replaced by a finished one; give a folder in it")
    names = {path.name for path in folder.iterdir()}
    if not names:
        return
    if not _is_gallery(folder) or names - {INDEX, DATA, THUMBS}:
        raise ConfigError(f"{where}: is a folder with other files in it; give a new one")
    if not overwrite:
        raise ConfigError(f"{where}: exists; give a new folder, or --overwrite")


def _is_gallery(folder: Path) -> bool:
    try:
        return MARK in (folder / INDEX).read_text(encoding="utf-8", errors="replace")[:2000]
    except OSError:
        return False


class Gallery:
    """A page in the making.

    Everything is written into a folder beside, which takes the name of the gallery when the page is
    whole. Leaving the ``with`` block without :meth:`finish` removes it.

    Args:
        folder: of the page; checked by :func:`check_gallery`.
        names: of the classes, by label.
        landmark_ids: of the classes, by label.
        threads: that make thumbnails.
    """

    def __init__(
        self, folder: Path, names: Sequence[str], landmark_ids: Sequence[str], threads: int
    ) -> None:
        self._folder, self._names, self._ids = folder, names, landmark_ids
        parent = folder.absolute().parent
        try:
            self._beside = Path(tempfile.mkdtemp(prefix=f".{folder.name[:60]}.", dir=parent))
        except OSError as error:
            error.filename = str(folder)  # what was asked for, not a name of ours
            raise
        umask = os.umask(0)
        os.umask(umask)
        self._beside.chmod(0o777 & ~umask)  # mkdtemp's folders are their owner's alone
        self._threads, self._count = threads, 0
        self._pool = ThreadPoolExecutor(threads, thread_name_prefix="glr-thumb")
        self._coming: deque[tuple[Shown, Future[Thumbnail]]] = deque()
        self._entries: list[Entry] = []

    def __enter__(self) -> Gallery:
        return self

    def __exit__(self, *_: object) -> None:
        self._pool.shutdown(wait=True, cancel_futures=True)
        shutil.rmtree(self._beside, ignore_errors=True)

    def add(self, photos: Sequence[Shown]) -> None:
        """Take photos; their thumbnails are made meanwhile."""
        for photo in photos:
            self._coming.append((photo, self._pool.submit(thumbnail, photo.data)))
        while len(self._coming) > _AHEAD * self._threads:
            self._take()

    def finish(self, facts: Facts) -> Path:
        """Write the page and let it appear.

        Returns:
            The file to open.
        """
        while self._coming:
            self._take()
        write_page(self._beside, self._entries, self._names, self._ids, facts)
        if self._folder.exists():
            old = Path(tempfile.mkdtemp(prefix=".old.", dir=self._beside.parent))
            self._folder.rename(old)
            self._beside.rename(self._folder)
            shutil.rmtree(old)
        else:
            self._beside.rename(self._folder)
        return self._folder / INDEX

    def _take(self) -> None:
        photo, future = self._coming.popleft()
        small = future.result()
        number = self._count
        self._count += 1
        name = f"{THUMBS}/{number // _FOLDER:04d}/{number % _FOLDER:03d}.jpg"
        file = self._beside / name
        if number % _FOLDER == 0:
            file.parent.mkdir(parents=True)
        file.write_bytes(small.data)
        self._entries.append(
            Entry(
                path=photo.path,
                link=None if photo.file is None else self._link_to(photo.file),
                labels=photo.labels,
                probabilities=photo.probabilities,
                unsure=photo.unsure,
                thumb=name,
                size=(small.width, small.height),
                bytes=len(small.data),
            )
        )

    def _link_to(self, file: Path) -> str:
        return os.path.relpath(file.absolute(), self._folder.absolute())
