"""Packs photos into a store: WebDataset tars with indexes, tables and a manifest."""

from __future__ import annotations

import argparse
from pathlib import Path

from shard_tools.build import BuildOptions, build_store
from shard_tools.build.plan import DEFAULT_SHARD_SIZE
from shard_tools.build.splits import DEFAULT_FRACTIONS, parse_fractions
from shard_tools.cli.arguments import (
    add_executor,
    add_source_options,
    executor,
    path_or_url,
    source_options,
)
from shard_tools.duplicates import DUPLICATE_MODES
from shard_tools.photos import CHECKS, PhotoOptions
from shard_tools.sources import LAYOUTS

HELP = "pack photos into a store"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the arguments of ``glr-shard build``."""
    add = parser.add_argument
    sources = "; ".join(layout.help for layout in LAYOUTS.values())
    add("--source", type=Path, required=True, metavar="PATH", help=f"the photos: {sources}")
    add("--out", required=True, metavar="STORE", help="folder of the new store, or s3://...")
    add_source_options(parser)
    text = "columns of the label file to carry into samples.parquet, such as capture_year"
    add("--carry", metavar="COLUMN,...", help=text)
    size = parser.add_mutually_exclusive_group()
    text = "shrink larger photos to N pixels on the shorter side (default: keep their size)"
    size.add_argument("--resize-short", type=int, metavar="N", help=text)
    text = "keep the bytes of photos that are baseline JPEGs already (the default)"
    size.add_argument("--keep-original", action="store_true", help=text)
    text = (
        "photos that show the same picture: keep them all in one split (one-split, the default), "
        "keep only one of them (drop), or do not look for them (keep), which avoids reading the "
        "source twice"
    )
    add("--duplicates", choices=DUPLICATE_MODES, default="one-split", help=text)
    text = (
        "for photos that keep their bytes: decode each one completely (full, the default), or, "
        "together with --duplicates keep, trust those with a valid header and end (header), which "
        "is several times faster"
    )
    add("--check", choices=CHECKS, default="full", help=text)
    text = "JPEG quality of photos that are re-encoded (default: %(default)s)"
    add("--quality", type=int, default=90, metavar="Q", help=text)
    add("--top-classes", type=int, metavar="N", help="keep only the N largest classes")
    text = "keep only classes with at least N photos (default: %(default)s)"
    add("--min-images", type=int, default=1, metavar="N", help=text)
    default = ",".join(f"{fraction:.2f}" for fraction in DEFAULT_FRACTIONS)
    text = "shares of train, val and test in each class (default: %(default)s)"
    add("--splits", default=default, metavar="T,V,T", help=text)
    text = "seed of the split and the shuffle (default: %(default)s)"
    add("--seed", type=int, default=0, metavar="N", help=text)
    text = "most photos in a shard (default: %(default)s)"
    add("--shard-size", type=int, default=DEFAULT_SHARD_SIZE, metavar="N", help=text)
    add_executor(parser)


def run(parsed: argparse.Namespace) -> int:
    """Build the store and print a summary."""
    options = BuildOptions(
        source=parsed.source,
        out=path_or_url(parsed.out),
        reading=source_options(parsed),
        duplicates=parsed.duplicates,
        photo=PhotoOptions(parsed.resize_short, parsed.quality, check=parsed.check),
        top_classes=parsed.top_classes,
        min_images=parsed.min_images,
        splits=parse_fractions(parsed.splits),
        seed=parsed.seed,
        shard_size=parsed.shard_size,
    )
    print(build_store(options, executor(parsed)).text())
    return 0
