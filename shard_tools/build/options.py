"""Everything that decides the bytes of a store, with its checks."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from shard_tools.build.plan import DEFAULT_SHARD_SIZE
from shard_tools.build.splits import check_fractions
from shard_tools.duplicates.policy import DUPLICATE_MODES
from shard_tools.errors import StoreError
from shard_tools.photos.prepare import CHECKS, PhotoOptions
from shard_tools.sources.detect import LAYOUTS
from shard_tools.sources.layout import SourceOptions

GIVEN = "given"
"""``--splits given``: the splits of the source."""


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
    exclude_classes: tuple[str, ...] = ()
    """Landmark ids or names of classes that are left out."""
    only_classes: tuple[str, ...] = ()
    """Landmark ids or names of the classes that go in; empty for all."""
    classes_of: Path | None = None
    """A store or the folder of a run whose labels the classes get, so that a model can be evaluated
    on these photos; classes that it does not know follow after its own."""
    splits: tuple[float, float, float] | str | None = None
    """Shares of train, val and test; ``given`` keeps the splits of the source; None keeps them if
    it has any, else takes ``DEFAULT_FRACTIONS``."""
    seed: int = 0
    """Of split and shuffle."""
    shard_size: int = DEFAULT_SHARD_SIZE
    """The most photos in a shard."""

    def __post_init__(self) -> None:
        if isinstance(self.splits, str):
            if self.splits != GIVEN:
                raise StoreError(f"--splits {self.splits!r}: give three shares, or {GIVEN}")
        elif self.splits is not None:
            check_fractions(self.splits, train=self.classes_of is None)
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
            "splits": list(self.splits) if isinstance(self.splits, tuple) else self.splits,
            "shard_size": self.shard_size,
        } | {name: value for name, value in self._rare().items() if value}

    def _rare(self) -> dict[str, Any]:
        """Options that most builds do not use, and that their manifests do not name."""
        reading = self.reading
        return {
            "carry": list(reading.carry),
            "columns": dict(reading.columns),
            "classes": reading.classes,
            "group_by": reading.group_by,
            "exclude_classes": list(self.exclude_classes),
            "only_classes": list(self.only_classes),
            "classes_of": self.classes_of and self.classes_of.name,
        }
