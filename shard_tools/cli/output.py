"""What commands print: safe for any terminal, and quiet where nobody reads on."""

from __future__ import annotations

import io
import os
import sys
from pathlib import Path

from shard_tools.errors import StoreError, escaped
from shard_tools.files.remote import is_remote
from shard_tools.store import Store
from shard_tools.store.layout import MANIFEST


def say(text: str) -> None:
    """Print lines. Control characters in them, which names may hold, are shown escaped."""
    print("\n".join(escaped(line) for line in text.split("\n")), flush=True)


def warn_of_shards(path: Path) -> None:
    """Say on standard error that a store lacks shards, of which its tables know nothing."""
    if is_remote(path) or not (path / MANIFEST).is_file():
        return
    try:
        Store.open(path, check=False).check_shards()
    except StoreError as error:
        print(f"warning: {escaped(str(error))}", file=sys.stderr)


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
