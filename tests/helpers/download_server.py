"""A server of downloads on this machine, with the faults that servers and networks have."""

from __future__ import annotations

import hashlib
import threading
import time
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import numpy as np
import pytest

from shard_tools.fetch.gldv2 import METADATA, FetchOptions

TARS = ("images_000.tar", "images_001.tar")
Fault = Callable[["Handler", bytes, int], bool]


class Server(ThreadingHTTPServer):
    """Files by path, and what is wrong with the server."""

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.files: dict[str, bytes] = {}
        self.faults: dict[str, list[Fault]] = {}
        """For each path what the next answers are: each is used up by one."""
        self.ranges = True
        self.tags = True
        self.asked: list[tuple[str, str, str | None]] = []
        """Method, path and Range of each request."""
        self.passwords: list[str] = []
        """What requests were authorized by."""

    def add(self, name: str, data: bytes) -> None:
        """A tar with its md5, or a label file."""
        if name.endswith(".tar"):
            self.files[f"/train/{name}"] = data
            md5 = f"{hashlib.md5(data).hexdigest()}  {name}\n"
            self.files[f"/md5sum/train/md5.{name[:-4]}.txt"] = md5.encode()
        else:
            self.files[f"/metadata/{name}"] = data

    def gets(self, path: str) -> list[str | None]:
        """The Range of each request for a path."""
        return [span for method, asked, span in self.asked if (method, asked) == ("GET", path)]


class Handler(BaseHTTPRequestHandler):
    """Answers as S3 does, but for the faults."""

    server: Server  # pyright: ignore[reportIncompatibleVariableOverride]
    protocol_version = "HTTP/1.1"

    def do_GET(self) -> None:
        span = self.headers.get("Range")
        self.server.passwords.append(self.headers.get("Authorization", ""))
        self.server.asked.append((self.command, self.path, span))
        data = self.server.files.get(self.path)
        if data is None:
            self.send_error(404)
            return
        tag = f'"{hashlib.md5(data).hexdigest()}"'
        start, status = 0, 200
        if span and self.server.ranges and self.headers.get("If-Range", tag) == tag:
            start, status = int(span.removeprefix("bytes=").removesuffix("-")), 206
        faults = self.server.faults.get(self.path)
        if faults and self.command == "GET" and faults.pop(0)(self, data, start):
            return
        if start >= len(data) > 0:
            self.answer(416, b"", {"Content-Range": f"bytes */{len(data)}"})
            return
        headers = {"ETag": tag} if self.server.tags else {}
        if status == 206:
            headers["Content-Range"] = f"bytes {start}-{len(data) - 1}/{len(data)}"
        self.answer(status, data[start:], headers)

    do_HEAD = do_GET  # noqa: N815

    def answer(
        self, status: int, body: bytes, headers: dict[str, str], sent: int | None = None
    ) -> None:
        self.send_response(status)
        for name, value in headers.items():
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        if self.command == "GET":
            self.wfile.write(body if sent is None else body[:sent])

    def log_message(self, format: str, *args: object) -> None:
        pass


def drops(after: int) -> Fault:
    """The connection ends after some bytes of the body."""

    def fault(handler: Handler, data: bytes, start: int) -> bool:
        headers = {"Content-Range": f"bytes {start}-{len(data) - 1}/{len(data)}"} if start else {}
        headers["ETag"] = f'"{hashlib.md5(data).hexdigest()}"'
        handler.answer(206 if start else 200, data[start:], headers, after)
        handler.close_connection = True
        return True

    return fault


def fails(status: int) -> Fault:
    def fault(handler: Handler, data: bytes, start: int) -> bool:
        handler.answer(status, b"sorry", {})
        return True

    return fault


def lies(handler: Handler, data: bytes, start: int) -> bool:
    """Bytes of the right number, not the right ones."""
    handler.answer(200, bytes(len(data)), {})
    return True


def stalls(handler: Handler, data: bytes, start: int) -> bool:
    handler.answer(200, data, {}, 100_000)
    time.sleep(1.0)
    return True


@pytest.fixture
def server() -> Iterator[Server]:
    made = Server()
    rng = np.random.default_rng(0)
    for name, size in (*((name, 3_000) for name in METADATA), (TARS[0], 400_000), (TARS[1], 5_000)):
        head = b"id,url,landmark_id\n" if name in METADATA else b""
        made.add(name, head + rng.bytes(size - len(head)))
    threading.Thread(target=made.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True).start()
    yield made
    made.shutdown()
    made.server_close()


def url(server: Server) -> str:
    return f"http://127.0.0.1:{server.server_address[1]}"


def options(server: Server, dest: Path, shards: tuple[int, ...] = (0, 1), **more) -> FetchOptions:
    more = {"retries": 4, "backoff_s": 0.001} | more
    return FetchOptions(dest=dest, shards=shards, base_url=url(server), **more)


def whole(server: Server, dest: Path) -> bool:
    """Whether all files arrived as they are, and nothing else is left."""
    names = sorted(path.name for path in dest.iterdir())
    wanted = {
        path.rpartition("/")[2]: data for path, data in server.files.items() if "md5" not in path
    }
    return names == sorted(wanted) and all((dest / n).read_bytes() == wanted[n] for n in names)
