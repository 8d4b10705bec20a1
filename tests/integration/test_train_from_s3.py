"""Training straight from an object store: moto's S3 server, started by the test."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
import torch

from glr_fast.data import StoreError
from tests.helpers.loaders import opened
from tests.helpers.object_store import s3_server

s3fs = pytest.importorskip("s3fs", reason="s3fs is not installed (extra s3)")


@pytest.fixture(scope="module")
def url(store: Path) -> Iterator[str]:
    """The store, put into a bucket."""
    with s3_server("glr") as bucket:
        put = s3fs.S3FileSystem(skip_instance_cache=True).put
        put(f"{store}/", f"{bucket}/store/", recursive=True)
        yield f"{bucket}/store"


@pytest.mark.parametrize("window", [0, 2])
def test_batches_from_s3_are_those_of_the_folder(
    store: Path, url: str, tmp_path: Path, window: int
) -> None:
    how = {"batch_size": 16, "image_size": 32, "threads": 1, "shuffle_window": window}
    with (
        opened(store, "train", **how) as near,  # type: ignore[arg-type]
        opened(url, "train", cache=tmp_path, **how) as far,  # type: ignore[arg-type]
    ):
        pairs = zip(far.stream(), near.stream(), strict=False)
        for ours, theirs in itertools.islice(pairs, 2 * near.steps_per_epoch):
            np.testing.assert_array_equal(ours.rows, theirs.rows)
            assert torch.equal(ours.images, theirs.images)
    assert list(tmp_path.rglob("train-*.tar"))


def test_a_shard_that_is_missing_is_named(
    url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("glr_fast.data.shard_cache._TRIES", 2)
    torn = url.replace("/store", "/torn")
    files = s3fs.S3FileSystem(skip_instance_cache=True)
    files.copy(f"{url}/", f"{torn}/", recursive=True)
    files.rm(f"{torn}/train-000000.tar")
    with (
        opened(torn, "train", batch_size=48, cache=tmp_path) as loader,
        pytest.raises(StoreError, match=r"train-000000\.tar: cannot be fetched, 2 tries"),
    ):
        list(loader)


def test_a_bucket_that_is_not_there_is_said(url: str) -> None:
    with pytest.raises(StoreError, match="s3://nowhere/store"):
        opened("s3://nowhere/store", "train", batch_size=4)
