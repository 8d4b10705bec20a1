"""Arguments that several commands have, and what becomes of them."""

from __future__ import annotations

from pathlib import Path

from shard_tools.errors import StoreError
from shard_tools.files.remote import location


def located(text: str) -> Path:
    """A path or URL of the command line.

    Raises:
        StoreError: no client for such URLs.
    """
    try:
        return location(text)
    except OSError as error:
        raise StoreError(str(error)) from None
