"""Writes class-balanced index files: epoch orders, and DALI indexes over the unchanged tars."""

from __future__ import annotations

import argparse

from shard_tools.cli.arguments import add_store, path_or_url
from shard_tools.cli.output import say
from shard_tools.sampling import POLICIES, IndexOptions, write_index
from shard_tools.store import SPLITS

HELP = "write epoch orders and DALI indexes for a sampling policy"
EXAMPLES = (
    (
        "glr-shard index store --policy balanced --epochs 10 --name balanced",
        "ten balanced epochs",
    ),
    (
        "glr-shard index store --policy natural,balanced@8 --epochs 9 --name late",
        "the ninth balanced",
    ),
)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the arguments of ``glr-shard index``."""
    add_store(parser)
    add = parser.add_argument
    text = f"how classes are drawn: {', '.join(POLICIES)}, or a schedule such as natural,balanced@8"
    add("--policy", required=True, help=text)
    add("--epochs", type=int, required=True, metavar="N", help="number of epochs to write")
    add(
        "--seed", type=int, default=0, metavar="N", help="seed of the orders (default: %(default)s)"
    )
    add("--name", required=True, help="name of the index; it is written to STORE/index/NAME")
    add(
        "--split", choices=SPLITS, default="train", help="split to draw from (default: %(default)s)"
    )


def run(parsed: argparse.Namespace) -> int:
    """Write the index and print where it is."""
    options = IndexOptions(
        policy=parsed.policy,
        epochs=parsed.epochs,
        seed=parsed.seed,
        name=parsed.name,
        split=parsed.split,
    )
    say(write_index(path_or_url(parsed.store), options))
    return 0
