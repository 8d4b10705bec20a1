"""Downloads Google Landmarks v2: label files and tars, checked and resumed."""

from __future__ import annotations

import argparse
from pathlib import Path

from shard_tools.cli.output import say
from shard_tools.fetch import FetchOptions, fetch, parse_shards

HELP = "download Google Landmarks v2"
EXAMPLES = (
    ("glr-shard fetch --dest gldv2", "the label files alone"),
    ("glr-shard fetch --dest gldv2 --shards 0-9", "and ten tars of about 1 GB"),
)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the arguments of ``glr-shard fetch``."""
    add = parser.add_argument
    add("--dest", type=Path, required=True, metavar="DIR", help="folder to download into")
    text = "numbers of the tars to download, or all (default: none, only the label files)"
    add("--shards", default="", metavar="0-9,12", help=text)
    text = "base URL of the bucket (default: %(default)s)"
    add("--base-url", default=FetchOptions.base_url, metavar="URL", help=text)
    text = "number of files to download at a time (default: %(default)s)"
    add("--jobs", type=int, default=FetchOptions.jobs, metavar="N", help=text)
    text = "give up on a file after more than N failures in a row (default: %(default)s)"
    add("--retries", type=int, default=FetchOptions.retries, metavar="N", help=text)
    add("--no-check", action="store_true", help="do not compare with the published MD5 sums")


def run(parsed: argparse.Namespace) -> int:
    """Download what is missing and print what was done."""
    options = FetchOptions(
        dest=parsed.dest,
        shards=parse_shards(parsed.shards) if parsed.shards else (),
        base_url=parsed.base_url,
        jobs=parsed.jobs,
        retries=parsed.retries,
        check=not parsed.no_check,
    )
    say(fetch(options))
    return 0
