"""What commands print: safe for any terminal, and quiet where nobody reads on."""

from __future__ import annotations

import io
import os
import sys

from shard_tools.errors import escaped


def say(text: str) -> None:
    """Print lines. Control characters in them, which names may hold, are shown escaped."""
    print("\n".join(escaped(line) for line in text.split("\n")), flush=True)


def fit_terminal() -> None:
    """Let a terminal that knows only ASCII show other characters escaped, not fail."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")


def drop_stdout() -> None:
    """Let Python end without a word about a standard output that takes no more."""
    try:
        nowhere = os.open(os.devnull, os.O_WRONLY)
        os.dup2(nowhere, sys.stdout.fileno())
        os.close(nowhere)
    except (OSError, ValueError, AttributeError):
        pass
