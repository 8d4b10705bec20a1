"""``manifest.json``: what a store holds, shard by shard, and what it was built from."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any

from shard_tools.errors import StoreError
from shard_tools.store.layout import FORMAT_NAME, FORMAT_VERSION


@dataclass(frozen=True)
class ShardInfo:
    """One tar of a store, as the manifest lists it."""

    name: str
    """File name, such as ``train-000000.tar``."""
    split: str
    """One of ``train``, ``val``, ``test``."""
    samples: int
    """Photos in it."""
    bytes: int
    """Size of the tar."""
    sha256: str
    """Hex digest of the tar."""
    index_sha256: str
    """Hex digest of its ``.idx``."""

    @property
    def index_name(self) -> str:
        """File name of the DALI index beside the tar."""
        return self.name.removesuffix(".tar") + ".idx"


@dataclass(frozen=True)
class Manifest:
    """What ``manifest.json`` holds. It carries no dates: equal builds give equal manifests."""

    source: Mapping[str, Any]
    """Where the photos came from: kind and location."""
    options: Mapping[str, Any]
    """Build options that decide the bytes."""
    seed: int
    """Seed of split and shuffle."""
    counts: Mapping[str, int]
    """Classes, photos per split, rejected photos, and the like."""
    shards: tuple[ShardInfo, ...]
    """In the order of the samples table."""
    notes: Mapping[str, Any] = field(default_factory=dict)
    """What a user should know: classes with no training photo, files without a label."""

    def to_json(self) -> str:
        """The text of the file."""
        head = {"format": FORMAT_NAME, "version": FORMAT_VERSION}
        return json.dumps(head | asdict(self), indent=1, sort_keys=False) + "\n"

    @classmethod
    def from_json(cls, text: str, where: str) -> Manifest:
        """Parse a manifest. ``where`` names the file in messages.

        Raises:
            StoreError: not a manifest, or one of another format version.
        """
        try:
            raw = json.loads(text)
        except ValueError as error:
            raise StoreError(f"{where}: not JSON ({error}); build the store again") from None
        if not isinstance(raw, dict) or raw.get("format") != FORMAT_NAME:
            raise StoreError(f"{where}: not the manifest of a {FORMAT_NAME}")
        if raw.get("version") != FORMAT_VERSION:
            raise StoreError(
                f"{where}: store format version {raw.get('version')!r}, this program reads version "
                f"{FORMAT_VERSION}; rebuild the store with this version's glr-shard build"
            )
        try:
            return cls(
                source=raw["source"],
                options=raw["options"],
                seed=raw["seed"],
                counts=raw["counts"],
                shards=tuple(ShardInfo(**shard) for shard in raw["shards"]),
                notes=raw.get("notes", {}),
            )
        except (KeyError, TypeError) as error:
            raise StoreError(f"{where}: incomplete manifest ({error}); rebuild the store") from None
