"""Evaluate a trained run on a store.

    accelerate launch launch/evaluate.py --run runs/resnet50_ce --store STORE --split test

Also with ``python``, or on several processes as in launch/train.py. ``--split val,test`` evaluates
both together. Writes predictions.parquet, metrics.json and pictures to ``--out``, prints the table.
"""

import sys

from glr_fast.command_line import parse, run_command
from glr_fast.evaluate_options import EvaluateOptions


def main() -> None:
    """Parse, evaluate, print."""
    options = parse(EvaluateOptions, sys.argv[1:], EvaluateOptions())

    from glr_fast.evaluate import evaluate
    from glr_fast.metrics import as_table

    figures = evaluate(options)
    if figures:  # the main process
        print(as_table(figures))
        print(f"written to {options.folder}")


if __name__ == "__main__":
    run_command(main)
