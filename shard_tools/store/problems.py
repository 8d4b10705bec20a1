"""What ``glr-shard verify`` finds: problems, with their file and the check."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

_NAMED = 3
"""Photos, lines or files named in one problem, at most."""


@dataclass(frozen=True, order=True)
class Problem:
    """One thing that is wrong with a store."""

    where: str
    """File in the store, such as ``train-000000.tar``."""
    check: str
    """What was checked: ``files``, ``manifest``, ``sha256``, ``tar``, ``idx``, ``samples``,
    ``classes``, ``rejected``, ``photo``, ``decode``, ``leakage`` or ``index``."""
    what: str
    """What is wrong, in words."""

    def text(self) -> str:
        """The problem as one line."""
        return f"{self.where}: [{self.check}] {self.what}"


class Findings(list[Problem]):
    """Problems of one file, as a check comes across them."""

    def __init__(self, where: str) -> None:
        super().__init__()
        self._where = where

    def add(self, check: str, what: str) -> None:
        """Note one problem."""
        self.append(Problem(self._where, check, what))

    def add_all(self, check: str, what: str, items: Sequence[str]) -> None:
        """Note one problem that several photos, lines or files have; none if ``items`` is empty."""
        if items:
            more = f" and {len(items) - _NAMED:,} more" if len(items) > _NAMED else ""
            self.add(check, f"{what}: {'; '.join(items[:_NAMED])}{more}")
