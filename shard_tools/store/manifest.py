"""``manifest.json``: what a store holds, shard by shard, and what it was built from."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from shard_tools.errors import StoreError
from shard_tools.store.layout import FORMAT_NAME, FORMAT_VERSION, SPLITS
from shard_tools.store.seal import FileInfo, seal, unseal

COUNTS = ("classes", "photos", *SPLITS, "rejected")
_DIGESTS = ("sha256", "index_sha256")


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

    @classmethod
    def parse(cls, raw: Any) -> ShardInfo:
        """From JSON.

        Raises:
            ValueError: not the entry of a shard, or a name that is none of a file in the store.
        """
        if not isinstance(raw, dict):
            raise ValueError("an entry of shards is no object")
        text = {name: _of_type(raw, name, str) for name in ("name", "split", *_DIGESTS)}
        number = {name: _of_type(raw, name, int) for name in ("samples", "bytes")}
        if not re.fullmatch(r"[A-Za-z0-9_-]{1,80}\.tar", text["name"]):
            raise ValueError(f"{text['name']!r} is not the file name of a shard")
        if min(number.values()) < 1:
            raise ValueError(f"{text['name']} has {number['samples']} photos")
        return cls(**text, **number)

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
    files: tuple[FileInfo, ...] = ()
    """The tables and lists."""
    notes: Mapping[str, Any] = field(default_factory=dict)
    """What a user should know: classes with no training photo, files without a label."""

    def to_json(self) -> str:
        """The text of the file."""
        return seal({"format": FORMAT_NAME, "version": FORMAT_VERSION} | asdict(self))

    @classmethod
    def parse(cls, data: bytes, file: Path) -> Manifest:
        """Parse a manifest. Fields that it does not know are ignored.

        Args:
            data: bytes of the file.
            file: for messages.

        Raises:
            StoreError: not a manifest, one of another format version, or a damaged one.
        """
        raw = unseal(file, data, FORMAT_NAME, FORMAT_VERSION, "build the store again")
        try:
            manifest = cls(
                source=_of_type(raw, "source", dict),
                options=_of_type(raw, "options", dict),
                seed=_of_type(raw, "seed", int),
                counts=_of_type(raw, "counts", dict),
                shards=tuple(ShardInfo.parse(shard) for shard in _of_type(raw, "shards", list)),
                files=tuple(FileInfo.parse(info) for info in _of_type(raw, "files", list)),
                notes=_of_type(raw, "notes", dict),
            )
            for name in COUNTS:
                if not _of_type(manifest.counts, name, int) >= 0:
                    raise ValueError(f"counts.{name} is below 0")
        except (KeyError, TypeError, ValueError) as error:
            raise StoreError(
                f"{file}: not a sound manifest ({error}); build the store again"
            ) from None
        return manifest


def _of_type(raw: Mapping[str, Any], name: str, kind: type) -> Any:
    if not isinstance(raw.get(name), kind) or isinstance(raw[name], bool):
        raise ValueError(f"its field {name} is not of the right type")
    return raw[name]
