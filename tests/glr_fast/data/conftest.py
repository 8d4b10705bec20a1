"""A copy of the store, for tests that damage it."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest


@pytest.fixture
def copy(store: Path, tmp_path: Path) -> Path:
    """A copy of the store, to damage or add to."""
    shutil.copytree(store, tmp_path / "copy")
    return tmp_path / "copy"
