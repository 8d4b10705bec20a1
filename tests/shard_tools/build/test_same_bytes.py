"""Stores have the bytes that earlier versions gave them, whatever a source now may also look like.

The photos are one JPEG with a comment of its own in each, so that no encoder has a say.
"""

from __future__ import annotations

import base64
import hashlib
from pathlib import Path

import pytest

from tests.helpers.photos import add_photo, built, write_labels
from tests.helpers.sources import tars, write_csv, zipped

JPEG = base64.b64decode(
    "/9j/4AAQSkZJRgABAQAAAQABAAD/2wBDABsSFBcUERsXFhceHBsgKEIrKCUlKFE6PTBCYFVlZF9VXVtqeJmBanGQc1td"
    "hbWGkJ6jq62rZ4C8ybqmx5moq6T/2wBDARweHigjKE4rK06kbl1upKSkpKSkpKSkpKSkpKSkpKSkpKSkpKSkpKSkpKSk"
    "pKSkpKSkpKSkpKSkpKSkpKSkpKSkpKT/wAARCAAIAAgDASIAAhEBAxEB/8QAFQABAQAAAAAAAAAAAAAAAAAAAAT/xAAX"
    "EAEAAwAAAAAAAAAAAAAAAAAAAgVi/8QAFAEBAAAAAAAAAAAAAAAAAAAAAP/EABQRAQAAAAAAAAAAAAAAAAAAAAD/2gAM"
    "AwEAAhEDEQA/AJYVOQAf/9k="
)
#: sha256 of all tars of a store, one after the other; made by the builder before it knew splits,
#: nested folders and tables with other columns.
OF_IDS = "40de8c23e3cf8b77dc4ff164800054eefba65c93ffae350fe829c85efff48787"
OF_FOLDERS = "713a35ec5191602740b2c8bb6b5e924a1254c49bf7b049cb1f2990a26258c622"


def photo(number: int) -> bytes:
    comment = f"{number:06d}".encode()
    return JPEG[:2] + b"\xff\xfe\x00\x08" + comment + JPEG[2:]


@pytest.fixture(scope="module")
def ids(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder of the competition."""
    root = tmp_path_factory.mktemp("ids")
    labels = {f"{n * 7919 % 65536:04x}{n:012x}": str(n % 7 * (n % 3)) for n in range(60)}
    for number, name in enumerate(labels):
        add_photo(root, name, photo(number))
    write_labels(root, labels)
    return root


@pytest.fixture(scope="module")
def folders(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Class folders whose photos share names."""
    root = tmp_path_factory.mktemp("folders")
    for number in range(60):
        place = root / f"class {number % 4}" / f"{number // 4}.jpg"
        place.parent.mkdir(exist_ok=True)
        place.write_bytes(photo(number))
    return root


def digest(source: Path, out: Path) -> str:
    store = built(source, out, shard_size=20, duplicates="keep")
    return hashlib.sha256(b"".join(f.read_bytes() for f in sorted(store.glob("*.tar")))).hexdigest()


@pytest.mark.parametrize("kind", ["folder", "zip", "tars", "table"])
def test_photos_by_id(ids: Path, tmp_path: Path, kind: str) -> None:
    source = ids
    if kind == "zip":
        source = zipped(ids, tmp_path / "x.zip")
    elif kind == "tars":
        source = tars(ids, tmp_path / "tars")
    elif kind == "table":
        rows = [line.split(",") for line in (ids / "train.csv").read_text().split()[1:]]
        paths = {path.stem: str(path) for path in ids.rglob("*.jpg")}
        table = tmp_path / "t.csv"
        source = write_csv(table, "path,landmark_id", [(paths[name], mark) for name, mark in rows])
    assert digest(source, tmp_path / "s") == OF_IDS


@pytest.mark.parametrize("kind", ["folder", "zip"])
def test_photos_in_class_folders(folders: Path, tmp_path: Path, kind: str) -> None:
    source = zipped(folders, tmp_path / "x.zip") if kind == "zip" else folders
    assert digest(source, tmp_path / "s") == OF_FOLDERS
