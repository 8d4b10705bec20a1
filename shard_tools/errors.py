"""What a user can put right: every error that a command turns into one line and exit code 2."""

from __future__ import annotations

import re

_CONTROL = re.compile(r"[\x00-\x1f\x7f-\x9f]")


def escaped(text: str) -> str:
    """A text with its control characters as escapes, such as ``\\x1b``, on one line."""
    return _CONTROL.sub(lambda found: repr(found[0])[1:-1], text)


class StoreError(Exception):
    """Something a user can fix about a source or a store; the message is one line.

    Control characters, which names of files and columns may hold, are shown escaped: a message must
    not break into several lines, nor command a terminal.
    """

    def __init__(self, message: str = "") -> None:
        super().__init__(escaped(str(message)))


class PhotoError(Exception):
    """A photo that cannot go in."""

    def __init__(self, reason: str, detail: str = "") -> None:
        super().__init__(reason, detail)
        self.reason = reason
        """One of a few phrases, to count by: ``truncated``, ``damaged``, ..."""
        self.detail = detail
        """What was found, in words."""


def counted(number: int, what: str) -> str:
    """``1 class``, ``2 classes``, ``2 folders``."""
    many = f"{what}es" if what.endswith("s") else f"{what}s"
    return f"{number:,} {what if number == 1 else many}"
