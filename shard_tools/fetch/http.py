"""One request to a web server and its answer, whatever a server may answer."""

from __future__ import annotations

import base64
import http.client
import re
import time
import urllib.error
import urllib.parse
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from email.utils import parsedate_to_datetime
from typing import Any

_TIMEOUT_S = 30
_CHUNK = 1 << 20
_LONGEST_ASKED_S = 300.0
"""A server may ask for a pause, but not for a century."""
_AGENT = "glr-shard"
_GONE = frozenset({400, 401, 403, 404, 405, 410})
"""Status codes for which a retry is pointless; S3 answers 403 for a missing file."""


class GoneError(Exception):
    """The server says that the file does not exist, or that access is denied."""


class TryAgainError(Exception):
    """A failure that may be gone at the next try."""

    def __init__(self, text: str, wait_s: float = 0.0) -> None:
        super().__init__(text)
        self.wait_s = wait_s
        """Seconds that the server asks the client to wait."""


@contextmanager
def answer_to(url: str, headers: dict[str, str], method: str = "GET") -> Iterator[Any]:
    """Open the server's response.

    Raises:
        GoneError: no such file.
        TryAgainError: any failure that may be gone at the next try.
    """
    try:
        request = _request(url, headers, method)
        answer = _OPENER.open(request, timeout=_TIMEOUT_S)
    except urllib.error.HTTPError as error:
        with error:
            if error.code == 416:  # the part reaches the end of the file, or past it
                yield error
                return
            if error.code in _GONE:
                said = f"{error.code} {error.reason}"
                raise GoneError(f"{shown(url)}: the server says {said}") from None
            wait = asked_wait(error.headers.get("Retry-After", ""))
            raise TryAgainError(f"the server says {error.code} {error.reason}", wait) from None
    except (urllib.error.URLError, http.client.HTTPException, OSError) as error:
        reason = getattr(error, "reason", None) or error
        raise TryAgainError(f"{type(reason).__name__}: {reason}") from None
    except ValueError as error:  # an address that is none, ours or one that we were sent to
        raise TryAgainError(f"bad address ({error})") from None
    with answer:
        yield answer


def read_some(answer: Any) -> bytes:
    """Read some bytes; none at the end.

    Raises:
        TryAgainError: the connection broke.
    """
    try:
        return b"" if answer.status == 416 else answer.read(_CHUNK)
    except (http.client.HTTPException, OSError, ValueError, OverflowError) as error:
        raise TryAgainError(f"the connection broke ({type(error).__name__}: {error})") from None


def span_of(answer: Any, have: int) -> tuple[int, int | None]:
    """Where the received bytes belong, and the length of the whole file if it is known."""
    span = re.match(r"bytes (?:(\d+)-\d+|\*)/(\d+)", answer.headers.get("Content-Range", ""))
    if answer.status == 206 and span and span[1] and int(span[1]) == have:
        return have, int(span[2])
    if answer.status == 416:
        if span and int(span[2]) == have:
            return have, have
        return 0, None if span is None else int(span[2])
    if answer.status == 206:
        raise TryAgainError("the server sent a different range from the one requested")
    length = answer.headers.get("Content-Length", "")
    return 0, int(length) if re.fullmatch("[0-9]{1,18}", length) else None


def length_of(url: str) -> int | None:
    """The length of a file on the server; None if the server does not say."""
    with answer_to(url, {}, "HEAD") as answer:
        length = answer.headers.get("Content-Length", "")
        return int(length) if re.fullmatch("[0-9]{1,18}", length) else None


def asked_wait(text: str) -> float:
    """Seconds that a ``Retry-After`` asks for, as a number or as a date; at most five minutes."""
    if re.fullmatch("[0-9]{1,18}", text):
        return min(float(text), _LONGEST_ASKED_S)
    try:
        wait = parsedate_to_datetime(text).timestamp() - time.time()
    except (ValueError, TypeError, OverflowError):
        return 0.0
    return min(max(wait, 0.0), _LONGEST_ASKED_S)


def shown(url: str) -> str:
    """A URL without a user's name and password, for messages."""
    return re.sub(r"^([A-Za-z]+://)[^/?#]*@", r"\1", url)


def _request(url: str, headers: dict[str, str], method: str) -> urllib.request.Request:
    """A request; name and password of a URL go into a header, where a proxy's log has them not."""
    parts = urllib.parse.urlsplit(url)
    secret = {}
    if parts.username is not None:
        pair = (
            f"{urllib.parse.unquote(parts.username)}:{urllib.parse.unquote(parts.password or '')}"
        )
        secret = {"Authorization": "Basic " + base64.b64encode(pair.encode()).decode()}
    headers = {"User-Agent": _AGENT, **headers}
    request = urllib.request.Request(shown(url), headers=headers, method=method)
    for name, value in secret.items():
        request.add_unredirected_header(name, value)  # not for whom we are sent on to
    return request


class _Redirects(urllib.request.HTTPRedirectHandler):
    """Follows to web servers only: urllib would follow to ftp too."""

    def redirect_request(self, req: Any, fp: Any, code: Any, msg: Any, headers: Any, newurl: Any):
        if not re.match("https?://", newurl):
            raise ValueError(f"sent on to {shown(newurl)[:80]}")
        return super().redirect_request(req, fp, code, msg, headers, newurl)


_OPENER = urllib.request.build_opener(_Redirects)
