"""One file over HTTP into ``<name>.part``: resumed where it was cut off, and tried again."""

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
"""Answers that another try does not change; S3 says 403 of what is not there."""

Advance = Callable[[int, int], object]


class GoneError(Exception):
    """The server says that there is no such file, or that we may not have it."""


class _TryAgainError(Exception):
    """Something that may be better next time."""

    def __init__(self, text: str, wait_s: float = 0.0) -> None:
        super().__init__(text)
        self.wait_s = wait_s
        """What the server asks for."""


class Downloader:
    """Downloads with the same patience and the same stop button."""

    def __init__(
        self, retries: int, backoff_s: float, stop: threading.Event, advance: Advance
    ) -> None:
        """A downloader.

        Args:
            retries: failures in a row, without a byte between them, that it survives.
            backoff_s: seconds before the second try, doubled for each further one.
            stop: ends it when set.
            advance: called with bytes that arrived, and bytes that were found to be expected.
        """
        self._retries, self._backoff_s = retries, backoff_s
        self._stop, self._advance = stop, advance
        self._received = 0  # bytes that have arrived so far
        self._announced = 0  # bytes of the file that the progress bar knows of

    def download(self, url: str, path: Path, file: IO[bytes]) -> None:
        """Download into the part of a file, going on with what is there.

        Args:
            url: of the file.
            path: what the file is called once it is whole.
            file: as :func:`claimed` gives it; whole by its length afterwards.

        Raises:
            GoneError: there is no such file.
            StoreError: given up, or stopped.
            OSError: of the disk.
        """
        self._announce(file.tell())
        self._advance(file.tell(), 0)
        self.patiently(url, lambda: self._some(url, path, file))

    def check_length(self, url: str, path: Path) -> None:
        """Check that a file that is there has the length that the server says, if it says one.

        Raises:
            StoreError: it has another; or given up, or stopped.
        """
        try:
            size = self.patiently(url, lambda: _length(url))
        except GoneError:  # moved since, or no HEAD there: the file was checked when it came
            return
        if size is None or path.stat().st_size == size:
            return
        raise StoreError(
            f"{path}: has {path.stat().st_size:,} bytes, {url} has {size:,}; it is not from "
            "glr-shard fetch: remove it, then run the same command again"
        )

    def forget(self, path: Path) -> None:
        """Remove what is remembered of a part."""
        _tag_of(path).unlink(missing_ok=True)

    def patiently(self, url: str, attempt: Callable[[], Any]) -> Any:
        """Call ``attempt`` until it succeeds, with pauses that grow while nothing arrives.

        Raises:
            StoreError: given up, or stopped.
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
                        f"{url}: given up after {failures} tries ({error}); run the same command "
                        "again to go on where it stopped"
                    ) from None
                wait = min(self._backoff_s * 2 ** max(failures - 1, 0), _LONGEST_WAIT_S)
                wait = max(wait * random.uniform(0.75, 1.25), error.wait_s)
            if self._stop.wait(wait):
                raise StoreError(f"{url}: stopped; run the same command again to go on")

    def _announce(self, total: int) -> None:
        self._advance(0, total - self._announced)
        self._announced = total

    def _some(self, url: str, path: Path, file: IO[bytes]) -> None:
        """Get the rest of the file, or as much as comes.

        Raises:
            _TryAgainError: it is not whole yet.
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
                    raise StoreError(f"{url}: stopped; run the same command again to go on")
        file.flush()
        size = file.tell()
        if total is not None and size != total:
            if size > total:
                file.truncate(0)
            raise _TryAgainError(f"the connection ended after {size:,} of {total:,} bytes")


@contextmanager
def claimed(path: Path) -> Iterator[IO[bytes]]:
    """The part of a file, to go on with; no other process gets it until the block ends.

    Raises:
        StoreError: another process has it.
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
        # Its last owner finished it, and gave it its name, after it was opened here.


def _is_at(file: IO[bytes], path: Path) -> bool:
    """Whether an open file (still) has that name."""
    try:
        return os.path.samestat(os.fstat(file.fileno()), path.stat())
    except FileNotFoundError:
        return False


def get_text(url: str, downloader: Downloader) -> str:
    """A small text file.

    Raises:
        GoneError: there is no such file.
        StoreError: given up.
    """

    def attempt() -> str:
        with _answer(url, {}) as answer:
            return _read(answer).decode("ascii", "replace")

    return downloader.patiently(url, attempt)


def part_of(path: Path) -> Path:
    """Where a file is while it is not whole."""
    return path.with_name(f"{path.name}.part")


def _tag_of(path: Path) -> Path:
    return path.with_name(f".{path.name}.part.tag")


def _read_tag(path: Path) -> str | None:
    file = _tag_of(path)
    return file.read_text().strip() or None if file.is_file() else None


def _write_tag(path: Path, headers: Any) -> None:
    """Remember which version of the file the part is of, for the server to compare."""
    tag = headers.get("ETag") or ""
    if tag.startswith("W/") or not tag:
        tag = headers.get("Last-Modified") or ""
    if (_read_tag(path) or "") != tag:
        _tag_of(path).write_text(tag + "\n")


def _lock(file: IO[bytes], part: Path) -> None:
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        raise StoreError(f"{part}: another glr-shard fetch is at work on it") from None


@contextmanager
def _answer(url: str, headers: dict[str, str], method: str = "GET") -> Iterator[Any]:
    """An open answer of the server.

    Raises:
        GoneError: no such file.
        _TryAgainError: anything that may be better next time.
    """
    request = urllib.request.Request(url, headers={"User-Agent": _AGENT, **headers}, method=method)
    try:
        answer = urllib.request.urlopen(request, timeout=_TIMEOUT_S)
    except urllib.error.HTTPError as error:
        with error:
            if error.code == 416:  # the part reaches past the end, or just to it
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
    """Some bytes, none at the end.

    Raises:
        _TryAgainError: the connection broke.
    """
    try:
        return b"" if answer.status == 416 else answer.read(_CHUNK)
    except (http.client.HTTPException, OSError) as error:
        raise _TryAgainError(f"the connection broke ({type(error).__name__}: {error})") from None


def _span(answer: Any, have: int) -> tuple[int, int | None]:
    """Where the bytes that come belong, and the length of the whole file if it is known."""
    span = re.match(r"bytes (?:(\d+)-\d+|\*)/(\d+)", answer.headers.get("Content-Range", ""))
    if answer.status == 206 and span and span[1] and int(span[1]) == have:
        return have, int(span[2])
    if answer.status == 416:
        if span and int(span[2]) == have:
            return have, have
        return 0, None if span is None else int(span[2])
    if answer.status == 206:
        raise _TryAgainError("the server sent another range than was asked for")
    length = answer.headers.get("Content-Length", "")
    return 0, int(length) if length.isdigit() else None


def _length(url: str) -> int | None:
    """The length of a file on the server, None where it does not say."""
    with _answer(url, {}, "HEAD") as answer:
        length = answer.headers.get("Content-Length", "")
        return int(length) if length.isdigit() else None
