"""Checks a store: every file, every byte, and every table against the others."""

from __future__ import annotations

import argparse
import json
from dataclasses import asdict

from shard_tools.cli.arguments import add_executor, add_store, executor, path_or_url
from shard_tools.cli.output import say
from shard_tools.store import Store
from shard_tools.verify import verify_store

HELP = "check a store and list what is wrong"
EXAMPLES = (
    ("glr-shard verify store", "every file, every byte"),
    ("glr-shard verify store --decode --json", "also every photo; the problems for a script"),
)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the arguments of ``glr-shard verify``."""
    add_store(parser)
    text = "also decode every photo with the strict decoder"
    parser.add_argument("--decode", action="store_true", help=text)
    text = "print the problems and the counts as JSON"
    parser.add_argument("--json", action="store_true", help=text)
    add_executor(parser)


def run(parsed: argparse.Namespace) -> int:
    """Print what is wrong, one problem per line; the exit code is 1 if anything is."""
    path = path_or_url(parsed.store)
    problems = verify_store(path, parsed.decode, executor(parsed), progress=True)
    if parsed.json:
        counts = {} if problems else Store.open(path).manifest.counts
        found = [asdict(problem) for problem in problems]
        say(json.dumps({"problems": found, "counts": counts}, indent=1, default=str))
        return 1 if problems else 0
    for problem in problems:
        say(problem.text())
    if problems:
        files = len({problem.where for problem in problems})
        many = ("problem" + "s" * (len(problems) > 1), "file" + "s" * (files > 1))
        say(
            f"{parsed.store}: {len(problems):,} {many[0]} in {files:,} {many[1]}; glr-shard repair "
            f"{parsed.store} --source PHOTOS makes damaged shards again"
        )
        return 1
    say(_summary(Store.open(path), parsed.decode))
    return 0


def _summary(store: Store, decoded: bool) -> str:
    shards = store.manifest.shards
    size = sum(shard.bytes for shard in shards)
    checked = "decoded and checked" if decoded else "checked, not decoded"
    return (
        f"{store.path}: whole: {store.manifest.counts['photos']:,} photos {checked}, "
        f"{len(shards):,} shards, {size / 1e6:,.1f} MB"
    )
