"""What a user can put right about a run: each error is one line."""

from __future__ import annotations


class ConfigError(Exception):
    """Something is wrong with a run's options or folder, and a user can fix it."""


class TrainingError(Exception):
    """Training cannot continue; the message says why and what to try."""


def require(good: bool, flag: str, needs: str, value: object) -> None:
    """Check an option.

    Args:
        good: whether its value is fine.
        flag: how a user gives it, such as ``--data.flip``.
        needs: what the value must be, in words.
        value: what it is.

    Raises:
        ConfigError: it is not.
    """
    if not good:
        raise ConfigError(f"{flag} must be {needs}; it is {value}")


def mark_rank(error: BaseException, rank: int) -> None:
    """Note on an error that it is that of one process of several, which has to show it itself."""
    error.__dict__["rank"] = rank


def rank_of(error: BaseException) -> int | None:
    """The process an error was marked with; None for one that the main process shows."""
    return error.__dict__.get("rank")
