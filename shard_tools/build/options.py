"""Everything that decides the bytes of a store, with its checks."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from shard_tools.build.plan import DEFAULT_SHARD_SIZE
from shard_tools.build.splits import DEFAULT_FRACTIONS, check_fractions
from shard_tools.duplicates.policy import DUPLICATE_MODES
from shard_tools.errors import StoreError
from shard_tools.photos.prepare import CHECKS, PhotoOptions
from shard_tools.sources.detect import LAYOUTS
from shard_tools.sources.layout import SourceOptions


@dataclass(frozen=True)
class BuildOptions:
    """Everything that decides a store. Equal options over equal photos give equal bytes."""

    source: Path
    """Folder, zip or table of photos."""
    out: Path
    """Folder of the store, or ``remote.location`` of its URL; new, empty, or unfinished."""
    reading: SourceOptions = field(default_factory=SourceOptions)
    """How the source is read."""
    duplicates: str = "one-split"
    """One of ``DUPLICATE_MODES``. Every mode except ``keep`` reads the whole source once more
    before packing."""
    photo: PhotoOptions = field(default_factory=PhotoOptions)
    """What is done to every photo."""
    top_classes: int | None = None
    """How many of the largest classes go in; None for all."""
    min_images: int = 1
    """The fewest photos a class may have."""
    splits: tuple[float, float, float] = DEFAULT_FRACTIONS
    """Fractions of train, val and test."""
    seed: int = 0
    """Of split and shuffle."""
    shard_size: int = DEFAULT_SHARD_SIZE
    """The most photos in a shard."""

    def __post_init__(self) -> None:
        check_fractions(self.splits)
        short, quality = self.photo.resize_short, self.photo.quality
        for name, value, low, high in (
            ("resize-short", short, 1, 65_500),
            ("quality", quality, 1, 100),
            ("top-classes", self.top_classes, 1, None),
            ("min-images", self.min_images, 0, None),
            ("shard-size", self.shard_size, 1, None),
            ("seed", self.seed, 0, 2**63 - 1),
        ):
            if value is not None and (value < low or (high is not None and value > high)):
                span = f"{low} or more" if high is None else f"{low} to {high}"
                raise StoreError(f"--{name} is {value}; it must be {span}")
        if self.photo.check not in CHECKS:
            raise StoreError(f"--check {self.photo.check!r} is unknown; give {' or '.join(CHECKS)}")
        if self.photo.check == "header" and self.duplicates != "keep":
            raise StoreError(
                f"--check header would save nothing: --duplicates {self.duplicates} decodes every "
                "photo; give --duplicates keep as well, or leave out --check"
            )
        layout = self.reading.layout
        if layout not in (None, *LAYOUTS):
            raise StoreError(f"--layout {layout!r} is unknown; give {' or '.join(LAYOUTS)}")
        if self.duplicates not in DUPLICATE_MODES:
            names = " or ".join(DUPLICATE_MODES)
            raise StoreError(f"--duplicates {self.duplicates!r} is unknown; give {names}")

    def deciding(self) -> dict[str, Any]:
        """The options that decide the bytes, as the manifest lists them."""
        return {
            "layout": self.reading.layout,
            "labels": self.reading.labels and self.reading.labels.name,
            "duplicates": self.duplicates,
            "resize_short": self.photo.resize_short,
            "quality": self.photo.quality,
            "max_pixels": self.photo.max_pixels,
            "check": self.photo.check,
            "top_classes": self.top_classes,
            "min_images": self.min_images,
            "splits": list(self.splits),
            "shard_size": self.shard_size,
            **({"carry": list(self.reading.carry)} if self.reading.carry else {}),
        }
