"""A source of generated photos, and the store that is built from it."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.helpers.photos import built, kaggle
from tests.shard_tools.build.test_builder import SIZES


@pytest.fixture(scope="module")
def source(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("source")
    kaggle(root, SIZES)
    (root / "landmarks.csv").write_text("landmark_id,name\n5,Five\n")
    return root


@pytest.fixture(scope="module")
def store(source: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return built(source, tmp_path_factory.mktemp("out") / "store", shard_size=8)
