"""Downloads a file over HTTP into ``<name>.part``, with retries, resuming where it was cut off."""

from __future__ import annotations

import fcntl
import http.client
import os
import random
import re
import threading
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Any

from shard_tools.errors import StoreError

_TIMEOUT_S = 30
_CHUNK = 1 << 20
_LONGEST_WAIT_S = 60.0
_AGENT = "glr-shard"
_GONE = frozenset({400, 401, 403, 404, 405, 410})
"""Status codes for which a retry is pointless; S3 answers 403 for a missing file."""

Advance = Callable[[int, int], object]


class GoneError(Exception):
    """The server says that the file does not exist, or that access is denied."""


class _TryAgainError(Exception):
    """A failure that may be gone at the next try."""

    def __init__(self, text: str, wait_s: float = 0.0) -> None:
        super().__init__(text)
        self.wait_s = wait_s
        """Seconds that the server asks the client to wait."""


class Downloader:
    """Downloads files with the same number of retries and the same stop signal."""

    def __init__(
        self, retries: int, backoff_s: float, stop: threading.Event, advance: Advance
    ) -> None:
        """Make a downloader.

        Args:
            retries: how many failures in a row, without a byte in between, it survives.
            backoff_s: seconds before the second try, doubled for each further one.
            stop: ends every download when set.
            advance: called with newly received bytes, and with bytes newly known to be expected.
        """
        self._retries, self._backoff_s = retries, backoff_s
        self._stop, self._advance = stop, advance
        self._received = 0  # bytes that have arrived so far
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
            size = self.patiently(url, lambda: _length(url))
        except GoneError:  # moved since, or no HEAD: the file was checked on arrival
            return
        if size is None or path.stat().st_size == size:
            return
        raise StoreError(
            f"{path}: has {path.stat().st_size:,} bytes, but {url} has {size:,}; it was not "
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
            before = self._received
            try:
                return attempt()
            except _TryAgainError as error:
                failures = 0 if self._received > before else failures + 1
                if failures > self._retries:
                    raise StoreError(
                        f"{url}: gave up after {failures} tries ({error}); run the same command "
                        "again to continue where it stopped"
                    ) from None
                wait = min(self._backoff_s * 2 ** max(failures - 1, 0), _LONGEST_WAIT_S)
                wait = max(wait * random.uniform(0.75, 1.25), error.wait_s)
            if self._stop.wait(wait):
                raise StoreError(f"{url}: stopped; run the same command again to continue")

    def _announce(self, total: int) -> None:
        self._advance(0, total - self._announced)
        self._announced = total

    def _some(self, url: str, path: Path, file: IO[bytes]) -> None:
        """Receive the rest of the file, or as much of it as arrives.

        Raises:
            _TryAgainError: it is not complete yet.
        """
        have, tag = file.tell(), _read_tag(path)
        headers = {"Range": f"bytes={have}-"} if have else {}
        if have and tag:
            headers["If-Range"] = tag
        with _answer(url, headers) as answer:
            start, total = _span(answer, have)
            if start != have:  # the server starts over, or has another version of the file
                file.truncate(start)
                file.seek(0, 2)
                self._advance(-have, 0)
            if answer.status != 416:
                _write_tag(path, answer.headers)
            if total is not None:
                self._announce(total)
            while block := _read(answer):
                file.write(block)
                self._received += len(block)
                self._advance(len(block), 0)
                if self._stop.is_set():
                    file.flush()
                    raise StoreError(f"{url}: stopped; run the same command again to continue")
        file.flush()
        size = file.tell()
        if total is not None and size != total:
            if size > total:
                file.truncate(0)
            raise _TryAgainError(f"the connection ended after {size:,} of {total:,} bytes")


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
        with _answer(url, {}) as answer:
            return _read(answer).decode("ascii", "replace")

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


@contextmanager
def _answer(url: str, headers: dict[str, str], method: str = "GET") -> Iterator[Any]:
    """Open the server's response.

    Raises:
        GoneError: no such file.
        _TryAgainError: any failure that may be gone at the next try.
    """
    request = urllib.request.Request(url, headers={"User-Agent": _AGENT, **headers}, method=method)
    try:
        answer = urllib.request.urlopen(request, timeout=_TIMEOUT_S)
    except urllib.error.HTTPError as error:
        with error:
            if error.code == 416:  # the part reaches the end of the file, or past it
                yield error
                return
            if error.code in _GONE:
                raise GoneError(f"{url}: the server says {error.code} {error.reason}") from None
            asked = error.headers.get("Retry-After", "")
            wait = float(asked) if asked.isdigit() else 0.0
            raise _TryAgainError(f"the server says {error.code} {error.reason}", wait) from None
    except (urllib.error.URLError, http.client.HTTPException, OSError) as error:
        reason = getattr(error, "reason", None) or error
        raise _TryAgainError(f"{type(reason).__name__}: {reason}") from None
    with answer:
        yield answer


def _read(answer: Any) -> bytes:
    """Read some bytes; none at the end.

    Raises:
        _TryAgainError: the connection broke.
    """
    try:
        return b"" if answer.status == 416 else answer.read(_CHUNK)
    except (http.client.HTTPException, OSError) as error:
        raise _TryAgainError(f"the connection broke ({type(error).__name__}: {error})") from None


def _span(answer: Any, have: int) -> tuple[int, int | None]:
    """Where the received bytes belong, and the length of the whole file if it is known."""
    span = re.match(r"bytes (?:(\d+)-\d+|\*)/(\d+)", answer.headers.get("Content-Range", ""))
    if answer.status == 206 and span and span[1] and int(span[1]) == have:
        return have, int(span[2])
    if answer.status == 416:
        if span and int(span[2]) == have:
            return have, have
        return 0, None if span is None else int(span[2])
    if answer.status == 206:
        raise _TryAgainError("the server sent a different range from the one requested")
    length = answer.headers.get("Content-Length", "")
    return 0, int(length) if length.isdigit() else None


def _length(url: str) -> int | None:
    """The length of a file on the server; None if the server does not say."""
    with _answer(url, {}, "HEAD") as answer:
        length = answer.headers.get("Content-Length", "")
        return int(length) if length.isdigit() else None
