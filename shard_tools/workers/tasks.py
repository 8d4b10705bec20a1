"""What a task is, wherever it runs."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeVar

Task = TypeVar("Task")

Result = TypeVar("Result")

Advance = Callable[[int], object]


class CancelledError(Exception):
    """Raised in a task when the build is being stopped."""
