"""An S3 server (moto's) for tests, and stores on it."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from unittest import mock

import pytest


@contextmanager
def s3_server(bucket: str) -> Iterator[str]:
    """Run a server with one bucket; the environment points every client at it. Yields its URL."""
    s3fs = pytest.importorskip("s3fs", reason="s3fs is not installed (extra s3)")
    server = pytest.importorskip("moto.server", reason="moto is not installed (extra dev)")
    running = server.ThreadedMotoServer("127.0.0.1", port=0, verbose=False)
    running.start()
    _, port = running.get_host_and_port()
    settings = {
        "AWS_ENDPOINT_URL": f"http://127.0.0.1:{port}",
        "AWS_ACCESS_KEY_ID": "test",
        "AWS_SECRET_ACCESS_KEY": "test",
        "AWS_DEFAULT_REGION": "us-east-1",
    }
    with mock.patch.dict(os.environ, settings):
        s3fs.S3FileSystem(skip_instance_cache=True).mkdir(bucket)
        # fsspec keeps clients, and with them the address of the server that a test before used.
        s3fs.S3FileSystem.clear_instance_cache()
        yield f"s3://{bucket}"
        s3fs.S3FileSystem.clear_instance_cache()
    running.stop()


def fetched(url: str, folder: Path) -> Path:
    """Everything under a URL, copied into a folder of this machine."""
    import s3fs

    folder.mkdir()
    files = s3fs.S3FileSystem(skip_instance_cache=True)
    files.get(f"{url.removeprefix('s3://')}/", f"{folder}/", recursive=True)
    return folder
