"""Looking at the files of a store, or of any two folders."""

from __future__ import annotations

import csv
import filecmp
from pathlib import Path


def same(one: Path, two: Path) -> bool:
    """Whether two folders hold the same files with the same bytes."""
    names = sorted(path.name for path in one.iterdir())
    if names != sorted(path.name for path in two.iterdir()):
        return False
    return filecmp.cmpfiles(one, two, names, shallow=False)[0] == names


def rejected(store: Path) -> list[dict[str, str]]:
    with open(store / "rejected.csv") as file:
        return list(csv.DictReader(file))
