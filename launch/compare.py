"""Compare evaluated runs and elect the best by its validation figure.

python launch/compare.py RUN [RUN ...] [--by macro_f1|accuracy]
"""

import argparse
from pathlib import Path
from typing import get_args

from glr_fast.command_line import run_command
from glr_fast.compare import as_table, elect, read_evaluations
from glr_fast.config import Monitor


def main() -> None:
    """Parse, read, print."""
    parser = argparse.ArgumentParser(description="Compare evaluated runs and elect the best.")
    parser.add_argument("runs", nargs="+", type=Path, metavar="RUN", help="run folder")
    parser.add_argument("--by", choices=get_args(Monitor), default="macro_f1")
    options = parser.parse_args()
    evaluations = [e for run in options.runs for e in read_evaluations(run)]
    print(as_table(evaluations))
    best = elect(evaluations, options.by)
    print(f"elected by {options.by} on val ({best.figures[options.by]:.4f}): {best.run}")


if __name__ == "__main__":
    run_command(main)
