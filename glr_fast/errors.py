"""What a user can put right about a run: each error is one line."""

from __future__ import annotations


class ConfigError(Exception):
    """Something a user can put right about a run's options; the message is one line."""


class TrainingError(Exception):
    """Training cannot go on; the message is one line that says why and what to try."""
