"""Prints counts and imbalance figures of a store, a source or a table of counts."""

from __future__ import annotations

import argparse
import json

from shard_tools.cli.arguments import add_looked_at, path_or_url, source_options
from shard_tools.cli.output import say, warn_of_shards
from shard_tools.report import collect
from shard_tools.report.stats import text

HELP = "print counts and imbalance figures"
EXAMPLES = (
    ("glr-shard stats photos", "photos that are not packed yet"),
    ("glr-shard stats store --json", "a store, for a script"),
)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the arguments of ``glr-shard stats``."""
    add_looked_at(parser)
    add = parser.add_argument
    text = "number of classes to list (default: %(default)s)"
    add("--top", type=int, default=10, metavar="N", help=text)
    add("--json", action="store_true", help="print the figures as JSON")


def run(parsed: argparse.Namespace) -> int:
    """Print the figures."""
    figures = collect(path_or_url(parsed.path), source_options(parsed), parsed.top)
    say(json.dumps(figures, indent=1) if parsed.json else text(figures))
    warn_of_shards(path_or_url(parsed.path))
    return 0
