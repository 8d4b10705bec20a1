"""Fixtures that every test may use: where the shared real data is, or a skip that says so."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import settings

from glr_fast.cpu_settings import apply_cpu_settings

apply_cpu_settings()  # as the commands do, before any test imports torch

# A busy machine is no defect: hypothesis would call what takes 0.2 s for once a failure.
settings.register_profile("busy", deadline=None)
settings.load_profile("busy")

REPOSITORY = Path(__file__).resolve().parents[1]

#: Folders of tests that take long. They begin first: no process is left with one at the end.
SLOW = ("integration", "glr_fast/tuning", "browser", "glr_fast", "dist")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Order the files by how long their folders take; the tests of a file keep their order."""

    def place(item: pytest.Item) -> int:
        folder = item.path.parent.relative_to(REPOSITORY / "tests").as_posix()
        return next((n for n, slow in enumerate(SLOW) if f"{folder}/".startswith(f"{slow}/")), 9)

    items.sort(key=place)


@pytest.fixture(scope="session")
def shared() -> Path:
    """The folder of real photos, hostile files, true class counts and pretrained weights."""
    path = REPOSITORY.parent / "shared"
    if not path.is_dir():
        pytest.skip(f"{path} is not here: it holds the real photos and weights this test uses")
    return path


@pytest.fixture(scope="session")
def photos(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Generated photos of 6 landmarks (24 down to 4 each) in the Kaggle layout."""
    from shard_tools.demo_photos import write_kaggle_dataset

    dest = tmp_path_factory.mktemp("photos")
    write_kaggle_dataset(dest, classes=6, largest=24, smallest=4, seed=1, size=(160, 120))
    return dest


@pytest.fixture(scope="session")
def store(photos: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A store of those photos: original bytes, several shards."""
    from shard_tools.build.builder import build_store
    from shard_tools.build.options import BuildOptions

    out = tmp_path_factory.mktemp("store") / "store"
    build_store(BuildOptions(source=photos, out=out, shard_size=20), workers=1)
    return out
