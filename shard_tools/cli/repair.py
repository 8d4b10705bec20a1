"""Rebuilds the damaged shards of a store from its source, byte for byte."""

from __future__ import annotations

import argparse

from shard_tools.build.repair import repair_store
from shard_tools.cli.arguments import (
    add_executor,
    add_source_options,
    add_store,
    executor,
    path_or_url,
    source_options,
    source_path,
)
from shard_tools.cli.output import say
from shard_tools.errors import counted

HELP = "rebuild the damaged shards of a store from its source"
EXAMPLES = (("glr-shard repair store --source photos", "rebuild what verify found"),)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the arguments of ``glr-shard repair``."""
    add_store(parser)
    text = "the photos that the store was built from"
    parser.add_argument("--source", type=source_path, required=True, metavar="PATH", help=text)
    add_source_options(parser)
    add_executor(parser)


def run(parsed: argparse.Namespace) -> int:
    """Rebuild what is damaged and say what it was."""
    store = path_or_url(parsed.store)
    rebuilt = repair_store(store, parsed.source, source_options(parsed), executor(parsed))
    for name in rebuilt:
        say(f"{name}: rebuilt")
    say(f"{parsed.store}: {counted(len(rebuilt), 'shard')} rebuilt; all shards are whole")
    return 0
