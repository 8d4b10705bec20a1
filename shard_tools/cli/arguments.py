"""Arguments that several commands share, and the objects that are made from them."""

from __future__ import annotations

import argparse
import os
from pathlib import Path

from shard_tools.errors import StoreError
from shard_tools.files.remote import location
from shard_tools.sources import LAYOUTS, SourceOptions
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


def add_store(parser: argparse.ArgumentParser) -> None:
    """Add the argument ``STORE``."""
    parser.add_argument("store", metavar="STORE", help="folder or URL of a store")


def add_looked_at(parser: argparse.ArgumentParser) -> None:
    """Add the argument ``STORE|SOURCE|CSV`` and the options that say how to read a source."""
    text = "a store, any source that build takes, a label file, or a CSV of photos per class"
    parser.add_argument("path", metavar="STORE|SOURCE|CSV", help=text)
    add_source_options(parser)


def add_source_options(parser: argparse.ArgumentParser) -> None:
    """Add ``--layout`` and ``--labels``."""
    add = parser.add_argument
    add("--layout", choices=tuple(LAYOUTS), help="source layout (default: auto-detected)")
    text = "label file, such as train.csv (default: the one beside the photos)"
    add("--labels", type=Path, metavar="FILE", help=text)


def source_options(parsed: argparse.Namespace) -> SourceOptions:
    """How to read the source: the options of :func:`add_source_options`, and ``--carry``."""
    carry = tuple(name.strip() for name in (getattr(parsed, "carry", None) or "").split(","))
    return SourceOptions(parsed.layout, parsed.labels, carry if carry != ("",) else ())


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
