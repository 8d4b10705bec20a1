"""Training from a plain web server that lists no folders, is slow to answer and fails at times."""

from __future__ import annotations

import itertools
import threading
import time
from collections.abc import Iterator
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from glr_fast.data import StoreError
from tests.helpers.loaders import opened

pytest.importorskip("aiohttp", reason="aiohttp is not installed (extra s3)")
pytest.importorskip("upath", reason="universal-pathlib is not installed (extra s3)")


class Handler(SimpleHTTPRequestHandler):
    """Files only. The first request for each shard is refused, every answer comes late."""

    refused: set[str] = set()  # noqa: RUF012 (shared by all requests on purpose)

    def do_GET(self) -> None:
        time.sleep(0.02)
        if self.path.endswith(".tar") and self.path not in self.refused:
            self.refused.add(self.path)
            self.send_error(503)
        else:
            super().do_GET()

    def list_directory(self, path: Any) -> None:
        self.send_error(404)

    def log_message(self, format: str, *args: Any) -> None:
        pass


@pytest.fixture
def url(store: Path) -> Iterator[str]:
    Handler.refused.clear()
    server = ThreadingHTTPServer(("127.0.0.1", 0), partial(Handler, directory=str(store.parent)))
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield f"http://127.0.0.1:{server.server_port}/{store.name}"
    server.shutdown()
    server.server_close()


def test_batches_from_a_web_server_are_those_of_the_folder(
    store: Path, url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    how: dict[str, Any] = {"batch_size": 16, "image_size": 32, "threads": 1, "shuffle_window": 1}
    with (
        opened(store, "train", **how) as near,
        opened(url, "train", cache=tmp_path, **how) as far,
    ):
        monkeypatch.setattr(far._reader._cache, "_first_pause_s", 0.01)
        pairs = zip(far.stream(), near.stream(), strict=False)
        for ours, theirs in itertools.islice(pairs, near.steps_per_epoch):
            np.testing.assert_array_equal(ours.rows, theirs.rows)
            assert torch.equal(ours.images, theirs.images)
    assert Handler.refused  # the retries were needed


def test_no_store_there_is_said(url: str) -> None:
    with pytest.raises(StoreError, match="not a finished store"):
        opened(f"{url}-other", "train", batch_size=4)
