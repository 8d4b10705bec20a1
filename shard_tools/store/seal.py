"""JSON files that carry a digest of themselves: a flipped bit in them does not go unseen."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import xxhash

from shard_tools.errors import StoreError

SEAL = "xxh128"
_BLANK = "0" * 32


@dataclass(frozen=True)
class FileInfo:
    """Size and digest of a file of a store."""

    name: str
    """File name in the store, such as ``classes.parquet``."""
    bytes: int
    xxh128: str
    """XXH3 (128 bits) of the content, hex digits, canonical form."""

    @classmethod
    def of(cls, name: str, data: bytes) -> FileInfo:
        """That of a file with this content."""
        return cls(name, len(data), digest(data))

    @classmethod
    def parse(cls, raw: Any) -> FileInfo:
        """From JSON.

        Raises:
            ValueError: not one.
        """
        name, size, hexed = (raw[key] for key in ("name", "bytes", "xxh128"))
        if not (isinstance(name, str) and isinstance(size, int) and isinstance(hexed, str)):
            raise ValueError(f"{name!r}: not the size and digest of a file")
        if not re.fullmatch("[A-Za-z0-9_-][A-Za-z0-9_.-]{0,80}", name):
            raise ValueError(f"{name!r} is not the name of a file in the store")
        return cls(name, size, hexed)

    def problem(self, data: bytes) -> str | None:
        """What is wrong with the content of the file, None if nothing is."""
        if len(data) != self.bytes:
            return f"has {len(data):,} bytes, {self.bytes:,} were written"
        return None if digest(data) == self.xxh128 else "its content is not what was written"


def digest(data: bytes) -> str:
    """XXH3 (128 bits) in hex digits."""
    return xxhash.xxh3_128_hexdigest(data)


def seal(content: Mapping[str, Any]) -> str:
    """The text of a JSON file with the digest of that text in its last field.

    The digest is that of the text with 32 zeros in its place.
    """
    text = json.dumps({**content, SEAL: _BLANK}, indent=1) + "\n"
    head, _, tail = text.rpartition(_BLANK)
    return head + digest(text.encode()) + tail


def unseal(file: Path, data: bytes, kind: str, version: int, remedy: str) -> dict[str, Any]:
    """The content of a sealed file.

    Args:
        file: for messages.
        data: its bytes.
        kind: what its field ``format`` must be.
        version: what its field ``version`` must be.
        remedy: what to do where it is not whole, for messages.

    Raises:
        StoreError: another format or version, or not what was written.
    """
    try:
        raw = json.loads(data)
    except (ValueError, RecursionError) as error:
        raise StoreError(f"{file}: not JSON ({str(error)[:200]}); {remedy}") from None
    if not isinstance(raw, dict) or raw.get("format") != kind:
        raise StoreError(f"{file}: not a file of the format {kind}; {remedy}")
    if raw.get("version") != version:
        raise StoreError(
            f"{file}: version {raw.get('version')!r} of {kind}, this program reads version "
            f"{version}; {remedy}"
        )
    said = raw.get(SEAL)
    sealed = said if isinstance(said, str) and re.fullmatch("[0-9a-f]{32}", said) else "none"
    head, _, tail = data.rpartition(sealed.encode())
    if digest(head + _BLANK.encode() + tail) != sealed:
        raise StoreError(f"{file}: damaged or edited: its digest is not that of its text; {remedy}")
    return raw
