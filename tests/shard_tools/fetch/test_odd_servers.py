"""Fetching from servers and proxies that answer what makes no sense, or ask for too much."""

from __future__ import annotations

import base64
import socket
from pathlib import Path

import pytest

from shard_tools.errors import StoreError
from shard_tools.fetch.gldv2 import FetchOptions, fetch
from shard_tools.fetch.http import asked_wait
from tests.helpers.download_server import TARS, Fault, Handler, Server, drops, fails, options, url

TAR = f"/train/{TARS[0]}"


def says(status: int, headers: dict[str, str], body: bytes = b"") -> Fault:
    def fault(handler: Handler, data: bytes, start: int) -> bool:
        handler.answer(status, body, headers)
        return True

    return fault


@pytest.mark.parametrize(
    ("asked", "wait"),
    [
        ("7", 7), ("99999999999", 300), ("soon", 0), ("²", 0), ("", 0), ("-5", 0),
        ("Wed, 21 Oct 2150 07:28:00 GMT", 300), ("Wed, 21 Oct 2015 07:28:00 GMT", 0),
    ],
)  # fmt: skip
def test_how_long_a_server_is_waited_for(asked: str, wait: float) -> None:
    assert asked_wait(asked) == wait


def raw(body: bytes) -> Fault:
    """A chunked body, byte by byte."""

    def fault(handler: Handler, data: bytes, start: int) -> bool:
        handler.wfile.write(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n" + body)
        handler.close_connection = True
        return True

    return fault


@pytest.mark.parametrize(
    "fault",
    [
        says(302, {"Location": "ftp://127.0.0.1/x"}),
        says(302, {"Location": "http://[::1"}),
        says(302, {"Location": "file:///etc/passwd"}),
        says(416, {}),
        says(206, {"Content-Range": "bytes 9-1/3"}),
        says(200, {"ETag": "x"}, b""),
        raw(b"-5\r\nhello\r\n0\r\n\r\n"),
        raw(b"zz\r\nhello\r\n"),
        raw(b"FFFFFFFFFFFFFFFFFFFF\r\nhello"),
    ],
)
def test_answers_that_make_no_sense(server: Server, tmp_path: Path, fault: Fault) -> None:
    """Tried again; then the file is the right one. Never a file of no bytes, or of others."""
    name = "/metadata/train.csv"
    server.faults[name] = [fault]
    try:
        fetch(options(server, tmp_path, ()))
    except StoreError as error:
        assert "is no label file" in str(error)  # noqa: PT017 (an empty answer was whole)
        assert not (tmp_path / "train.csv").exists()
        fetch(options(server, tmp_path, ()))
    assert (tmp_path / "train.csv").read_bytes() == server.files[name]


def test_a_page_in_place_of_a_label_file(server: Server, tmp_path: Path) -> None:
    server.faults["/metadata/train.csv"] = [says(200, {}, b"<!DOCTYPE html><p>Log in</p>")]
    with pytest.raises(StoreError, match=r"is no label file \(it begins with '<!DOCTYPE html"):
        fetch(options(server, tmp_path, ()))
    assert not list(tmp_path.glob("train.csv*"))
    fetch(options(server, tmp_path, ()))


def test_bytes_that_come_again_are_no_progress(server: Server, tmp_path: Path) -> None:
    server.ranges = False
    server.faults[TAR] = [drops(1000)] * 100
    with pytest.raises(StoreError, match="gave up after"):
        fetch(options(server, tmp_path))
    assert len(server.faults[TAR]) > 80


def test_a_password_is_sent_but_never_shown(server: Server, tmp_path: Path) -> None:
    server.faults["/metadata/train.csv"] = [fails(404)]
    address = url(server).replace("http://", "http://me:s%40cret@")
    with pytest.raises(StoreError, match="the server says 404") as caught:
        fetch(FetchOptions(dest=tmp_path, base_url=address))
    assert "cret" not in str(caught.value)
    assert base64.b64encode(b"me:s@cret").decode() in server.passwords[0]


def test_a_long_wait_is_said(
    server: Server,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setattr("shard_tools.fetch.http._LONGEST_ASKED_S", 0.3)
    monkeypatch.setattr("shard_tools.fetch.download._SAID_FROM_S", 0.2)
    server.faults["/metadata/train.csv"] = [says(503, {"Retry-After": "99999999999"})]
    fetch(options(server, tmp_path, ()))
    said = capsys.readouterr()
    assert f"{url(server)}/metadata/train.csv: the server says 503" in said.err
    assert "next try in 0 s" in said.err
    assert said.out == ""


def test_nothing_is_asked_of_a_server_of_another_kind(server: Server, tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as other:
        other.setblocking(False)
        address = f"ftp://127.0.0.1:{other.getsockname()[1]}/x"
        server.faults["/metadata/train.csv"] = [says(302, {"Location": address})]
        fetch(options(server, tmp_path, ()))
        with pytest.raises(BlockingIOError):  # nobody came
            other.accept()


def test_a_range_that_nobody_asked_for_is_no_file(server: Server, tmp_path: Path) -> None:
    server.faults[TAR] = [says(416, {}), says(416, {"Content-Range": "bytes */0"})]
    fetch(options(server, tmp_path, (0,), check=False))
    assert (tmp_path / TARS[0]).read_bytes() == server.files[TAR]
