"""What a user can put right: every error that a command turns into one line and exit code 2."""

from __future__ import annotations


class StoreError(Exception):
    """Something a user can put right about a source or a store; the message is one line."""


class PhotoError(Exception):
    """A photo that cannot go in."""

    def __init__(self, reason: str, detail: str = "") -> None:
        super().__init__(reason, detail)
        self.reason = reason
        """One of a few phrases, to count by: ``truncated``, ``damaged``, ..."""
        self.detail = detail
        """What was found, in words."""
