"""Packs photos into a store: WebDataset tars with indexes, tables and a manifest."""

from __future__ import annotations

import argparse
import json
from pathlib import Path
from typing import Any

from shard_tools.build import BuildOptions, Summary, build_store, preview
from shard_tools.build.classes import read_class_file
from shard_tools.build.options import GIVEN
from shard_tools.build.plan import DEFAULT_SHARD_SIZE
from shard_tools.build.splits import DEFAULT_FRACTIONS, parse_fractions
from shard_tools.cli.arguments import (
    Once,
    add_executor,
    add_source_options,
    executor,
    path_or_url,
    source_options,
    source_path,
)
from shard_tools.cli.output import say
from shard_tools.columns import comma_list
from shard_tools.duplicates import DUPLICATE_MODES
from shard_tools.errors import StoreError
from shard_tools.photos import CHECKS, PhotoOptions
from shard_tools.sources import LAYOUTS

HELP = "pack photos into a store"
EXAMPLES = (
    (
        "glr-shard build --source photos --out store --dry-run",
        "how it is understood",
    ),
    (
        "glr-shard build --source photos --out store --resize-short 256",
        "photos of 256 pixels",
    ),
    (
        "glr-shard build --source landmark-recognition-2020.zip --out store --min-images 4",
        "Kaggle's zip as it is",
    ),
    (
        "glr-shard build --source photos.csv --columns path=img,label=species --out store",
        "a table of paths and labels",
    ),
)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the arguments of ``glr-shard build``."""
    add = parser.add_argument
    sources = "; ".join(layout.help for layout in LAYOUTS.values())
    text = f"the photos: {sources}"
    add("--source", type=source_path, required=True, metavar="PATH", action=Once, help=text)
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
    text = "leave out these classes, by landmark id or name"
    add("--exclude-classes", metavar="CLASS,...", help=text)
    text = "keep only the classes that this file lists, one landmark id or name per line"
    add("--classes-file", type=Path, metavar="FILE", help=text)
    text = (
        "label the classes as a store or a trained run does, to evaluate its model on these photos"
    )
    add("--classes-of", type=Path, metavar="RUN|STORE", help=text)
    default = ",".join(f"{fraction:.2f}" for fraction in DEFAULT_FRACTIONS)
    text = (
        "shares of train, val and test in each class, or given for the splits of the source "
        f"(default: those of the source if it has any, else {default})"
    )
    add("--splits", metavar="T,V,T|given", help=text)
    text = "column of the label file; photos with the same value are kept in one split"
    add("--group-by", metavar="COLUMN", help=text)
    text = "print how the source was understood, and stop"
    add("--dry-run", action="store_true", help=text)
    text = "build even if the way in which the source was understood looks wrong"
    add("--yes", action="store_true", help=text)
    add("--json", action="store_true", help="print what became of the photos as JSON")
    text = "seed of the split and the shuffle (default: %(default)s)"
    add("--seed", type=int, default=0, metavar="N", help=text)
    text = "largest number of photos in a shard (default: %(default)s)"
    add("--shard-size", type=int, default=DEFAULT_SHARD_SIZE, metavar="N", help=text)
    add_executor(parser)


def run(parsed: argparse.Namespace) -> int:
    """Print how the source was understood, build the store, print what became of the photos."""
    splits = parsed.splits
    options = BuildOptions(
        source=parsed.source,
        out=path_or_url(parsed.out),
        reading=source_options(parsed),
        duplicates=parsed.duplicates,
        photo=PhotoOptions(parsed.resize_short, parsed.quality, check=parsed.check),
        top_classes=parsed.top_classes,
        min_images=parsed.min_images,
        exclude_classes=comma_list(parsed.exclude_classes),
        only_classes=read_class_file(parsed.classes_file) if parsed.classes_file else (),
        classes_of=parsed.classes_of,
        splits=splits if splits in (None, GIVEN) else parse_fractions(splits),
        seed=parsed.seed,
        shard_size=parsed.shard_size,
    )
    if parsed.dry_run:
        preview(options, show=say)
        return 0

    def look(lines: list[str], doubts: list[str]) -> None:
        if not parsed.json:
            say("\n".join(lines))
        if doubts and not parsed.yes:
            raise StoreError(f"{doubts[0]}; if all is as it should be, add --yes")

    summary = build_store(options, executor(parsed), look=look)
    say(json.dumps(_figures(summary), indent=1) if parsed.json else summary.text())
    return 0


def _figures(summary: Summary) -> dict[str, Any]:
    shards = summary.manifest.shards
    return {
        "store": str(summary.out),
        "counts": summary.manifest.counts,
        "shards": len(shards),
        "bytes": sum(shard.bytes for shard in shards),
        "rejected": summary.rejected,
        "seconds": round(summary.seconds, 2),
    }
