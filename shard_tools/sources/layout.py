"""What a layout of photos and labels is, and what a user can say about a source.

A new layout is one file in this folder that ends with a ``LAYOUT``, and its entry in
:mod:`shard_tools.sources.detect`. Command lines, help and messages follow from that.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from shard_tools.errors import StoreError
from shard_tools.sources.records import Records
from shard_tools.store.layout import SAMPLES_SCHEMA

FOLDER, ZIP, TABLE = "folder", "zip", "table"
#: Which of nested folders is the class; a number counts from the outermost, which is 1.
CLASS_LEVELS = ("leaf", "top", "path", *map(str, range(1, 10)))
#: What ``--columns`` can name, and what people usually call it; the first that is there is taken.
COLUMNS = {
    "path": (
        *("path", "file", "filename", "file_name", "filepath"),
        *("image_path", "image", "image_id", "id"),
    ),
    "label": ("landmark_id", "label", "class", "category", "class_name", "label_name"),
    "split": ("split", "subset"),
}


@dataclass(frozen=True)
class SourceOptions:
    """How to read a source; the defaults detect everything."""

    layout: str | None = None
    """Name of a layout; None detects it."""
    labels: Path | None = None
    """Label file; None takes the one beside the photos."""
    carry: tuple[str, ...] = ()
    """Columns of the label file or table that are carried into ``samples.parquet``."""
    columns: tuple[tuple[str, str], ...] = ()
    """What columns of a table are called: pairs of ``path``, ``label`` or ``split`` and the name
    that the table has for it. Others are found by their usual names."""
    root: Path | None = None
    """Folder that the paths of a table are relative to; None takes that of the table."""
    classes: str | None = None
    """Which folder is the class of nested class folders, one of ``CLASS_LEVELS``; None takes the
    innermost where that is clear."""
    group_by: str | None = None
    """Column of the label file or table; photos with the same value are kept in one split."""

    def __post_init__(self) -> None:
        taken = [name for name in self.carry if name in SAMPLES_SCHEMA.names or not name]
        if taken:
            raise StoreError(
                f"--carry {taken[0]}: every store has a column of that name; rename the one in "
                "the label file"
            )
        unknown = [what for what, _ in self.columns if what not in COLUMNS]
        if unknown:
            raise StoreError(f"--columns {unknown[0]}=...: name {', '.join(COLUMNS)} only")
        if self.classes not in (None, *CLASS_LEVELS):
            raise StoreError(f"--classes {self.classes!r}: give leaf, top, path or a level, 1 to 9")
        if len(set(self.carry)) < len(self.carry):
            raise StoreError(f"--carry {','.join(self.carry)}: a column is named twice")

    @property
    def extra(self) -> tuple[str, ...]:
        """Columns that are read beside id and label: those to carry, and that of the groups."""
        if self.group_by is None or self.group_by in self.carry:
            return self.carry
        return (*self.carry, self.group_by)

    def forbid(self, source: Path, what: str, *names: str) -> None:
        """Refuse options that mean nothing for a layout, instead of ignoring them.

        Args:
            source: for the message.
            what: the layout in words, as the subject of a sentence.
            names: the fields of this class that must not be given.

        Raises:
            StoreError: one of them is given.
        """
        for name in names:
            value = getattr(self, name)
            if value:
                parts = value if isinstance(value, tuple) else (value,)
                given = ",".join("=".join(p) if isinstance(p, tuple) else str(p) for p in parts)
                tables = sorted(source.glob("*.[ct]sv")) if name == "columns" else []
                hint = f", or give the table: --source {tables[0]}" if tables else ""
                raise StoreError(f"--{name} {given}: {source} is {what}; leave it out{hint}")


@dataclass(frozen=True)
class Layout:
    """One way in which photos and their labels are laid out."""

    name: str
    """What ``--layout`` and manifests call it."""
    help: str
    """What it looks like, as a noun phrase for ``--help`` and messages."""
    kinds: tuple[str, ...]
    """``folder``, ``zip`` or ``table``: what a source of this layout can be."""
    detect: Callable[[Path], bool]
    """Whether a source, of one of these kinds, looks like this layout."""
    read: Callable[[Path, SourceOptions], Records]
    """List a source; raises :class:`StoreError` where it is not of this layout after all."""
