"""``python -m shard_tools.demo_photos``."""

from __future__ import annotations

import argparse
from pathlib import Path

from shard_tools.demo_photos.writing import (
    write_album,
    write_class_folders,
    write_kaggle_dataset,
)


def main() -> None:
    """Command line: where to write, how many."""
    parser = argparse.ArgumentParser(description="Generate landmark-like photos with a long tail.")
    parser.add_argument("dest", type=Path)
    parser.add_argument("--classes", type=int, default=20)
    parser.add_argument("--largest", type=int, default=90)
    parser.add_argument("--smallest", type=int, default=10)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument(
        "--folders", action="store_true", help="write one folder per landmark, not Kaggle's layout"
    )
    parser.add_argument(
        "--album",
        type=int,
        metavar="N",
        help="instead, write N further photos of each landmark, and N of others, without labels",
    )
    args = parser.parse_args()
    if args.album is not None:
        count = write_album(args.dest, args.classes, args.album, args.seed)
        print(f"{count} photos without labels in {args.dest}")
        return
    write = write_class_folders if args.folders else write_kaggle_dataset
    count = write(args.dest, args.classes, args.largest, args.smallest, args.seed)
    print(f"{count} photos of {args.classes} landmarks in {args.dest}")


if __name__ == "__main__":
    main()
