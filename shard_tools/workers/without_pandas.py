"""Keeps pandas out of processes of ours: pyarrow imports it to ask whether a list is a Series."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from types import ModuleType


class _NoPandas:
    """One of ``sys.meta_path``, before those that find modules."""

    def find_spec(
        self, fullname: str, path: Sequence[str] | None, target: ModuleType | None = None
    ) -> None:
        """Nothing, so that others are asked; an error for pandas."""
        if fullname == "pandas":
            raise ModuleNotFoundError("pandas is kept out of this process", name="pandas")


def without_pandas() -> None:
    """Let ``import pandas`` fail in this process from now on, as where it is not installed.

    pyarrow takes that for an answer. Where pandas is installed (training needs it), importing it
    takes a quarter of a second, once in each command and in each worker process.
    """
    sys.meta_path.insert(0, _NoPandas())
