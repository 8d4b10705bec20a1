"""One row of a CSV file for each finished run: a benchmark that was stopped goes on from there."""

from __future__ import annotations

import csv
from collections.abc import Callable, Mapping
from dataclasses import asdict, fields
from pathlib import Path
from typing import Any, TypeVar

Row = TypeVar("Row")


def read_rows(file: Path, parse: Callable[[Mapping[str, str]], Row]) -> list[Row]:
    """The rows of a file, each made by ``parse`` from its texts by column; none without a file."""
    if not file.is_file():
        return []
    with open(file, newline="") as opened:
        return [parse(raw) for raw in csv.DictReader(opened)]


def add_row(file: Path, row: Any) -> None:
    """Append a dataclass, its fields as columns; a new file gets a header first."""
    new = not file.is_file()
    with open(file, "a", newline="") as opened:
        writer = csv.DictWriter(opened, [field.name for field in fields(row)])
        if new:
            writer.writeheader()
        writer.writerow(asdict(row))
