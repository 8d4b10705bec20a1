"""Fixtures that every test may use: where the shared real data is, or a skip that says so."""

from __future__ import annotations

from pathlib import Path

import pytest

REPOSITORY = Path(__file__).resolve().parents[1]


@pytest.fixture(scope="session")
def shared() -> Path:
    """The folder of real photos, hostile files, true class counts and pretrained weights."""
    path = REPOSITORY.parent / "shared"
    if not path.is_dir():
        pytest.skip(f"{path} is not here: it holds the real photos and weights this test uses")
    return path
