"""What a user can put right: every error that a command turns into one line and exit code 2."""

from __future__ import annotations


class StoreError(Exception):
    """Something a user can put right about a source or a store; the message is one line."""
