"""``glr-shard``: builds stores of photos, and index files over them.

glr-shard fetch --dest DIR --shards 0-9
glr-shard build --source DIR --out STORE
glr-shard index STORE --policy balanced --epochs 10 --name balanced
glr-shard verify STORE --decode
glr-shard show STORE KEY --out photo.jpg
glr-shard stats STORE|SOURCE
glr-shard eda STORE|SOURCE --out report.html
"""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Sequence
from pathlib import Path

from shard_tools.build.builder import BuildInterruptedError, build_store
from shard_tools.build.options import BuildOptions
from shard_tools.build.plan import DEFAULT_SHARD_SIZE
from shard_tools.build.splits import DEFAULT_FRACTIONS, parse_fractions
from shard_tools.cli import show
from shard_tools.cli.arguments import located
from shard_tools.duplicates.policy import DUPLICATE_MODES
from shard_tools.errors import StoreError
from shard_tools.fetch import gldv2 as fetch
from shard_tools.photos.prepare import CHECKS, PhotoOptions
from shard_tools.report import stats
from shard_tools.report import write as report
from shard_tools.sources.detect import LAYOUTS
from shard_tools.store.layout import SPLITS
from shard_tools.verify import verifier as verify
from shard_tools.workers.executor import EXECUTORS, Executor

PROGRAM = "glr-shard"
SOURCES = (
    "train.csv + train/a/b/c/<id>.jpg in a folder or zip, GLDv2 tars with their label file, one "
    "folder per class, a .csv or .parquet of path and landmark_id, or a store"
)


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command line; returns the exit code: 2 for what a user can put right."""
    parsed = _parser().parse_args(arguments)
    try:
        return parsed.run(parsed)
    except BuildInterruptedError as stop:
        print(f"{PROGRAM}: {stop}", file=sys.stderr)
        return 130
    except StoreError as error:
        print(f"{PROGRAM}: error: {error}", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        print(f"{PROGRAM}: interrupted", file=sys.stderr)
        return 130


def _build(parsed: argparse.Namespace) -> int:
    options = BuildOptions(
        source=parsed.source,
        out=located(parsed.out),
        layout=parsed.layout,
        labels=parsed.labels,
        duplicates=parsed.duplicates,
        photo=PhotoOptions(parsed.resize_short, parsed.quality, check=parsed.check),
        top_classes=parsed.top_classes,
        min_images=parsed.min_images,
        splits=parse_fractions(parsed.splits),
        seed=parsed.seed,
        shard_size=parsed.shard_size,
    )
    executor = Executor(parsed.workers, parsed.executor, parsed.ray_address)
    print(build_store(options, executor).text())
    return 0


def _index(parsed: argparse.Namespace) -> int:
    from shard_tools.sampling.write_index import IndexOptions, write_index

    options = IndexOptions(
        policy=parsed.policy,
        epochs=parsed.epochs,
        seed=parsed.seed,
        name=parsed.name,
        split=parsed.split,
    )
    print(write_index(located(parsed.store), options))
    return 0


class _Parser(argparse.ArgumentParser):
    """Errors as one line: what is wrong, and where the options are listed."""

    def error(self, message: str) -> None:  # type: ignore[override]
        self.exit(2, f"{PROGRAM}: error: {message}; see {self.prog} --help\n")


def _parser() -> argparse.ArgumentParser:
    parser = _Parser(prog=PROGRAM, description="Stores of landmark photos: WebDataset tars.")
    commands = parser.add_subparsers(required=True, metavar="COMMAND")
    fetch.add_arguments(commands.add_parser("fetch", help="download Google Landmarks v2"))
    _add_build(commands.add_parser("build", help="pack a folder of photos into a store"))
    _add_index(commands.add_parser("index", help="write epoch orders and DALI indexes of a policy"))
    stats.add_arguments(commands.add_parser("stats", help="counts and imbalance figures"))
    report.add_arguments(commands.add_parser("eda", help="a report with charts: one HTML file"))
    show.add_arguments(commands.add_parser("show", help="one photo or shard of a store"))
    verify.add_arguments(commands.add_parser("verify", help="check a store; list what is wrong"))
    return parser


def _add_build(parser: argparse.ArgumentParser) -> None:
    parser.set_defaults(run=_build)
    add = parser.add_argument
    add("--source", type=Path, required=True, metavar="PATH", help=SOURCES)
    add("--out", required=True, metavar="STORE", help="folder of the store, or s3://...; new")
    add(
        "--layout",
        choices=LAYOUTS,
        help="how the source is laid out (default: found out)",
    )
    add("--labels", type=Path, metavar="FILE", help="label file, such as train.csv, if not beside")
    size = parser.add_mutually_exclusive_group()
    size.add_argument(
        "--resize-short",
        type=int,
        metavar="N",
        help="shrink to N pixels on the shorter side",
    )
    size.add_argument(
        "--keep-original",
        action="store_true",
        help="keep the bytes of photos that are baseline JPEG already (this is the default)",
    )
    add(
        "--duplicates",
        choices=DUPLICATE_MODES,
        default="one-split",
        help="same picture twice: keep them in one split (default), drop all but one, or do not "
        "look for them, which saves reading the source twice",
    )
    add(
        "--check",
        choices=CHECKS,
        default="full",
        help="of photos that keep their bytes: decode each whole (default), or, together with "
        "--duplicates keep, trust what has a header and an end, which is several times faster",
    )
    add("--quality", type=int, default=90, help="JPEG quality of photos encoded anew (%(default)s)")
    add("--top-classes", type=int, metavar="N", help="only the N classes with the most photos")
    add("--min-images", type=int, default=1, metavar="N", help="only classes of N photos or more")
    default = ",".join(f"{fraction:.2f}" for fraction in DEFAULT_FRACTIONS)
    add("--splits", default=default, help="fractions of train,val,test per class (%(default)s)")
    add("--seed", type=int, default=0, help="of split and shuffle (%(default)s)")
    add(
        "--shard-size",
        type=int,
        default=DEFAULT_SHARD_SIZE,
        metavar="N",
        help="photos in a shard, at most (%(default)s)",
    )
    cores = len(os.sched_getaffinity(0))
    add("--workers", type=int, default=cores, help="processes; same result (%(default)s)")
    add("--executor", choices=EXECUTORS, default="local", help="where to pack (%(default)s)")
    add("--ray-address", metavar="ADDRESS", help="of a Ray cluster, such as auto (default: local)")


def _add_index(parser: argparse.ArgumentParser) -> None:
    parser.set_defaults(run=_index)
    add = parser.add_argument
    add("store", metavar="STORE", help="folder or URL of a store")
    add("--policy", required=True, help="how classes are drawn, such as balanced")
    add("--epochs", type=int, required=True, metavar="N", help="number of epochs to write")
    add("--seed", type=int, default=0, help="of the orders (%(default)s)")
    add("--name", required=True, help="written to STORE/index/NAME")
    add("--split", choices=SPLITS, default="train", help="which photos (%(default)s)")
