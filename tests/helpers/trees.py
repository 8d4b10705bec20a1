"""Folders of photos as people have them, made of tiny photos."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

from tests.helpers.photos import jpeg


def tree(root: Path, paths: Iterable[str], data: bytes | None = None) -> Path:
    """Files under a folder: another photo at each path, text where the suffix is of text.

    Photos that nobody will open may all be ``data``.
    """
    for number, path in enumerate(paths):
        file = root / path
        file.parent.mkdir(parents=True, exist_ok=True)
        if file.suffix in (".txt", ".json", ".csv", ".md", ".DS_Store", ""):
            file.write_text("{}")
        else:
            file.write_bytes(jpeg(number, 40, 30) if data is None else data)
    return root


def numbered(*folders: str, photos: int = 4) -> list[str]:
    """Paths of some photos in each folder."""
    return [f"{folder}/{number}.jpg" for folder in folders for number in range(photos)]
