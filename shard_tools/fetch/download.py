"""Downloads a file over HTTP into ``<name>.part``, with retries, resuming where it was cut off."""

from __future__ import annotations

import fcntl
import os
import random
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Any

from shard_tools.errors import StoreError
from shard_tools.fetch.http import (
    GoneError,
    TryAgainError,
    answer_to,
    length_of,
    read_some,
    shown,
    span_of,
)

_SAID_FROM_S = 10.0
"""Waits longer than that are said."""
_LONGEST_WAIT_S = 60.0
_LONGEST_TEXT = 1 << 16
"""Bytes of a file with a checksum."""
_LARGEST_FILE = 1 << 36
"""Bytes. A body without an end is given up here; the tars have 1 GB each."""

Advance = Callable[[int, int], object]


class Downloader:
    """Downloads files with the same number of retries and the same stop signal."""

    def __init__(
        self,
        retries: int,
        backoff_s: float,
        stop: threading.Event,
        advance: Advance,
        say: Callable[[str], object] = lambda text: None,
    ) -> None:
        """Make a downloader.

        Args:
            retries: how many failures in a row, without a byte in between, it survives.
            backoff_s: seconds before the second try, doubled for each further one.
            stop: ends every download when set.
            advance: called with newly received bytes, and with bytes newly known to be expected.
            say: called with a line where there is a long wait.
        """
        self._say = say
        self._retries, self._backoff_s = retries, backoff_s
        self._stop, self._advance = stop, advance
        self._furthest = 0  # most bytes of the file that were there at once
        self._announced = 0  # bytes of the file that the progress bar already counts

    def download(self, url: str, path: Path, file: IO[bytes]) -> None:
        """Download a file into its part, continuing after what is there.

        Args:
            url: URL of the file.
            path: name of the file once it is complete.
            file: the open part, from :func:`claimed`; complete by its length afterwards.

        Raises:
            GoneError: there is no such file.
            StoreError: too many failures, or stopped.
            OSError: the disk failed.
        """
        self._announce(file.tell())
        self._advance(file.tell(), 0)
        self.patiently(url, lambda: self._some(url, path, file))

    def check_length(self, url: str, path: Path) -> None:
        """Check that an existing file is as long as the server says, if the server says.

        Raises:
            StoreError: the lengths differ; too many failures; or stopped.
        """
        try:
            size = self.patiently(url, lambda: length_of(url))
        except GoneError:  # moved since, or no HEAD: the file was checked on arrival
            return
        if size is None or path.stat().st_size == size:
            return
        raise StoreError(
            f"{path}: has {path.stat().st_size:,} bytes, but {shown(url)} has {size:,}; it was not "
            "written by glr-shard fetch: remove it, then run the same command again"
        )

    def forget(self, path: Path) -> None:
        """Remove the file that says which version a part belongs to."""
        _tag_of(path).unlink(missing_ok=True)

    def patiently(self, url: str, attempt: Callable[[], Any]) -> Any:
        """Call ``attempt`` until it succeeds, with pauses that grow while nothing arrives.

        Raises:
            StoreError: too many failures, or stopped.
        """
        failures = 0
        while True:
            before = self._furthest
            try:
                return attempt()
            except TryAgainError as error:
                # Bytes that came before and had to be sent again are no progress.
                failures = 0 if self._furthest > before else failures + 1
                if failures > self._retries:
                    raise StoreError(
                        f"{shown(url)}: gave up after {failures} tries ({error}); run the same "
                        "command "
                        "again to continue where it stopped"
                    ) from None
                wait = min(self._backoff_s * 2 ** max(failures - 1, 0), _LONGEST_WAIT_S)
                wait = max(wait * random.uniform(0.75, 1.25), error.wait_s)
                if wait > _SAID_FROM_S:
                    self._say(f"{shown(url)}: {error}; next try in {wait:.0f} s")
            if self._stop.wait(wait):
                raise StoreError(f"{shown(url)}: stopped; run the same command again to continue")

    def _announce(self, total: int) -> None:
        self._advance(0, total - self._announced)
        self._announced = total

    def _some(self, url: str, path: Path, file: IO[bytes]) -> None:
        """Receive the rest of the file, or as much of it as arrives.

        Raises:
            TryAgainError: it is not complete yet.
        """
        have, tag = file.tell(), _read_tag(path)
        headers = {"Range": f"bytes={have}-"} if have else {}
        if have and tag:
            headers["If-Range"] = tag
        with answer_to(url, headers) as answer:
            start, total = span_of(answer, have)
            if start != have:  # the server starts over, or has another version of the file
                file.truncate(start)
                file.seek(0, 2)
                self._advance(-have, 0)
            if answer.status == 416 and not have:
                raise TryAgainError("the server says 416 to a request for the whole file")
            if answer.status != 416:
                _write_tag(path, answer.headers)
            if total is not None:
                self._announce(total)
            while block := read_some(answer):
                file.write(block)
                self._furthest = max(self._furthest, file.tell())
                self._advance(len(block), 0)
                if file.tell() > (_LARGEST_FILE if total is None else total):
                    file.truncate(0)
                    file.seek(0)
                    raise TryAgainError("the server sent more bytes than the file has")
                if self._stop.is_set():
                    file.flush()
                    raise StoreError(
                        f"{shown(url)}: stopped; run the same command again to continue"
                    )
        file.flush()
        size = file.tell()
        if total is not None and size != total:
            if size > total:
                file.truncate(0)
            raise TryAgainError(f"the connection ended after {size:,} of {total:,} bytes")


@contextmanager
def claimed(path: Path) -> Iterator[IO[bytes]]:
    """Open the part of a file to continue it; no other process can until the block ends.

    Raises:
        StoreError: another process holds it.
    """
    part = part_of(path)
    while True:
        with open(part, "ab") as file:
            _lock(file, part)
            if _is_at(file, part):
                try:
                    yield file
                finally:
                    if _is_at(file, part) and not os.fstat(file.fileno()).st_size:
                        part.unlink()
                return
        # Its previous owner finished and renamed it after it was opened here: open it again.


def _is_at(file: IO[bytes], path: Path) -> bool:
    """Whether an open file is (still) the one at that path."""
    try:
        return os.path.samestat(os.fstat(file.fileno()), path.stat())
    except FileNotFoundError:
        return False


def get_text(url: str, downloader: Downloader) -> str:
    """Download a small text file.

    Raises:
        GoneError: there is no such file.
        StoreError: too many failures, or stopped.
    """

    def attempt() -> str:
        with answer_to(url, {}) as answer:
            return read_some(answer)[:_LONGEST_TEXT].decode("ascii", "replace")

    return downloader.patiently(url, attempt)


def part_of(path: Path) -> Path:
    """Where a file is while it is incomplete."""
    return path.with_name(f"{path.name}.part")


def _tag_of(path: Path) -> Path:
    return path.with_name(f".{path.name}.part.tag")


def _read_tag(path: Path) -> str | None:
    file = _tag_of(path)
    return file.read_text().strip() or None if file.is_file() else None


def _write_tag(path: Path, headers: Any) -> None:
    """Record which version of the file the part belongs to, for the server to compare."""
    tag = headers.get("ETag") or ""
    if tag.startswith("W/") or not tag:
        tag = headers.get("Last-Modified") or ""
    if (_read_tag(path) or "") != tag:
        _tag_of(path).write_text(tag + "\n")


def _lock(file: IO[bytes], part: Path) -> None:
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        raise StoreError(f"{part}: another glr-shard fetch is working on it") from None
