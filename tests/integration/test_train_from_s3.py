"""Training straight from an object store: moto's S3 server, started by the test."""

from __future__ import annotations

import itertools
import os
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
import torch

from glr_fast.data import StoreError, open_loader

pytest.importorskip("s3fs", reason="s3fs is not installed (extra s3)")
server = pytest.importorskip("moto.server", reason="moto is not installed (moto[server])")

BUCKET = "glr"


@pytest.fixture(scope="module")
def endpoint() -> Iterator[str]:
    """A running S3 server; the environment points every client at it."""
    running = server.ThreadedMotoServer(port=0)
    running.start()
    host, port = running.get_host_and_port()
    settings = {
        "AWS_ENDPOINT_URL": f"http://127.0.0.1:{port}",
        "AWS_ACCESS_KEY_ID": "test",
        "AWS_SECRET_ACCESS_KEY": "test",
        "AWS_DEFAULT_REGION": "us-east-1",
    }
    before = {name: os.environ.get(name) for name in settings}
    os.environ.update(settings)
    assert host
    yield settings["AWS_ENDPOINT_URL"]
    for name, value in before.items():
        if value is None:
            del os.environ[name]
        else:
            os.environ[name] = value
    running.stop()


@pytest.fixture(scope="module")
def url(store: Path, endpoint: str) -> str:
    """The store, put into a bucket."""
    import s3fs

    files = s3fs.S3FileSystem(endpoint_url=endpoint)
    files.mkdir(BUCKET)
    files.put(f"{store}/", f"{BUCKET}/store/", recursive=True)
    return f"s3://{BUCKET}/store"


@pytest.mark.parametrize("window", [0, 2])
def test_batches_from_s3_are_those_of_the_folder(
    store: Path, url: str, tmp_path: Path, window: int
) -> None:
    how = {"batch_size": 16, "image_size": 32, "threads": 1, "shuffle_window": window}
    with (
        open_loader(store, "train", **how) as near,  # type: ignore[arg-type]
        open_loader(url, "train", cache=tmp_path, **how) as far,  # type: ignore[arg-type]
    ):
        pairs = zip(far.stream(), near.stream(), strict=False)
        for ours, theirs in itertools.islice(pairs, 2 * near.steps_per_epoch):
            np.testing.assert_array_equal(ours.rows, theirs.rows)
            assert torch.equal(ours.images, theirs.images)
    assert list(tmp_path.rglob("train-*.tar"))


def test_a_shard_that_is_missing_is_named(
    url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    import s3fs

    monkeypatch.setattr("glr_fast.data.cache._TRIES", 2)

    files = s3fs.S3FileSystem(endpoint_url=os.environ["AWS_ENDPOINT_URL"])
    files.copy(f"{url.removeprefix('s3://')}/", f"{BUCKET}/torn/", recursive=True)
    files.rm(f"{BUCKET}/torn/train-000000.tar")
    with (
        open_loader(f"s3://{BUCKET}/torn", "train", batch_size=48, cache=tmp_path) as loader,
        pytest.raises(StoreError, match=r"train-000000\.tar: cannot be fetched, 2 tries"),
    ):
        list(loader)


def test_a_bucket_that_is_not_there_is_said(endpoint: str) -> None:
    with pytest.raises(StoreError, match="s3://nowhere/store"):
        open_loader("s3://nowhere/store", "train", batch_size=4)
