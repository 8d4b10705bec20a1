from __future__ import annotations

from pathlib import Path

import pytest

from glr_fast.trained_model import TrainedModel, load_model
from tests.helpers.models import run_for


@pytest.fixture(scope="session")
def run(store: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An untrained run on the classes of the store."""
    return run_for(store, tmp_path_factory.mktemp("predict") / "run")


@pytest.fixture(scope="session")
def model(run: Path) -> TrainedModel:
    return load_model(run, device="cpu")
