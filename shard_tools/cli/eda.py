"""Writes a report with charts: one HTML file, with the charts as PNG files beside it."""

from __future__ import annotations

import argparse
from pathlib import Path

from shard_tools.cli.arguments import add_looked_at, path_or_url, source_options
from shard_tools.cli.output import say, warn_of_shards
from shard_tools.report import write_report
from shard_tools.report.write import DEFAULT_SAMPLE

HELP = "write a report with charts as one HTML file"
EXAMPLES = (
    ("glr-shard eda photos --out report.html", "photos that are not packed yet"),
    ("glr-shard eda store --out report.html", "a store"),
)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the arguments of ``glr-shard eda``."""
    add_looked_at(parser)
    add = parser.add_argument
    text = "HTML file to write; PNG files are written beside it"
    add("--out", type=Path, required=True, metavar="HTML", help=text)
    text = "number of photos of a source to read the headers of (default: %(default)s)"
    add("--sample", type=int, default=DEFAULT_SAMPLE, metavar="N", help=text)
    text = "seed for choosing the photos to sample and show (default: %(default)s)"
    add("--seed", type=int, default=0, metavar="N", help=text)


def run(parsed: argparse.Namespace) -> int:
    """Write the report and print where it is."""
    path, options = path_or_url(parsed.path), source_options(parsed)
    files = write_report(path, parsed.out, parsed.sample, parsed.seed, options)
    say(f"{files[0]} ({files[0].stat().st_size / 1e6:.1f} MB) and {len(files) - 1} PNG files")
    warn_of_shards(path)
    return 0
