"""Arguments that several commands share, and the objects that are made from them."""

from __future__ import annotations

import argparse
import os
from pathlib import Path
from typing import Any

from shard_tools.columns import comma_list
from shard_tools.errors import StoreError
from shard_tools.files.remote import location
from shard_tools.sources import LAYOUTS, SourceOptions
from shard_tools.sources.layout import CLASS_LEVELS
from shard_tools.workers import EXECUTORS, Executor


def path_or_url(text: str) -> Path:
    """Turn a path or URL of the command line into a path.

    Raises:
        StoreError: no client is installed for such URLs.
    """
    try:
        return location(text)
    except OSError as error:
        raise StoreError(str(error)) from None


class Once(argparse.Action):
    """An option that would be lost if it were given again, as argparse takes the last."""

    def __call__(
        self,
        parser: argparse.ArgumentParser,
        namespace: argparse.Namespace,
        values: Any,
        option_string: str | None = None,
    ) -> None:
        """Take the value; end with an error where there is one."""
        if getattr(namespace, self.dest) is not None:
            parser.error(
                f"{option_string} is given twice; give the folder above, or a table of paths"
            )
        setattr(namespace, self.dest, values)


def add_store(parser: argparse.ArgumentParser) -> None:
    """Add the argument ``STORE``."""
    parser.add_argument("store", metavar="STORE", help="folder or URL of a store")


def add_looked_at(parser: argparse.ArgumentParser) -> None:
    """Add the argument ``STORE|SOURCE|CSV`` and the options that say how to read a source."""
    text = "a store, any source that build takes, a label file, or a CSV of photos per class"
    parser.add_argument("path", type=_not_empty, metavar="STORE|SOURCE|CSV", help=text)
    add_source_options(parser)


def add_source_options(parser: argparse.ArgumentParser) -> None:
    """``--layout``, ``--labels``, ``--columns``, ``--root`` and ``--classes``."""
    add = parser.add_argument
    add("--layout", choices=tuple(LAYOUTS), help="source layout (default: auto-detected)")
    text = "label file, such as train.csv (default: the one beside the photos)"
    add("--labels", type=Path, metavar="FILE", help=text)
    text = (
        "what the columns of a table are called, such as path=image,label=species,split=fold "
        "(default: found by their usual names)"
    )
    add("--columns", metavar="WHAT=NAME,...", help=text)
    text = "folder that the paths of a table are relative to (default: that of the table)"
    add("--root", type=Path, metavar="DIR", help=text)
    text = (
        "which of nested class folders is the class: the innermost (leaf), the outermost (top), "
        "all of them (path), or a level as --dry-run counts them, such as 2 (default: the one that "
        "holds the photos, if that is clear)"
    )
    add("--classes", choices=CLASS_LEVELS, metavar="{leaf,top,path,LEVEL}", help=text)


def source_options(parsed: argparse.Namespace) -> SourceOptions:
    """How to read the source, from the arguments of :func:`add_source_options` and of ``build``."""
    return SourceOptions(
        layout=parsed.layout,
        labels=parsed.labels,
        carry=comma_list(getattr(parsed, "carry", None)),
        columns=_pairs(parsed.columns),
        root=parsed.root,
        classes=parsed.classes,
        group_by=getattr(parsed, "group_by", None),
    )


def _pairs(text: str | None) -> tuple[tuple[str, str], ...]:
    pairs = [tuple(part.strip() for part in pair.split("=", 1)) for pair in comma_list(text)]
    bad = next((pair for pair in pairs if len(pair) != 2 or not all(pair)), None)
    if bad is not None:
        raise StoreError(f"--columns {text}: give pairs such as path=image,label=species")
    return tuple((what, name) for what, name in pairs)


def source_path(text: str) -> Path:
    """The path of a source; an empty one, which would mean this folder, is a mistake."""
    return Path(_not_empty(text))


def _not_empty(text: str) -> str:
    if not text.strip():
        raise argparse.ArgumentTypeError("is empty; give the folder, zip or table of the photos")
    return text


def add_executor(parser: argparse.ArgumentParser) -> None:
    """Add ``--workers``, ``--executor`` and ``--ray-address``."""
    add = parser.add_argument
    cores = len(os.sched_getaffinity(0))
    text = "worker processes; does not affect the output (default: the usable cores, %(default)s)"
    add("--workers", type=int, default=cores, metavar="N", help=text)
    text = "where to run: on this machine, or on a Ray cluster (default: %(default)s)"
    add("--executor", choices=EXECUTORS, default="local", help=text)
    text = "address of a Ray cluster, such as auto (default: start one on this machine)"
    add("--ray-address", metavar="ADDRESS", help=text)


def executor(parsed: argparse.Namespace) -> Executor:
    """Where to run: the options of :func:`add_executor`."""
    return Executor(parsed.workers, parsed.executor, parsed.ray_address)
