"""Evaluate a trained run on a store (``glr-evaluate``, ``launch/evaluate.py``)."""

from __future__ import annotations

import json as json_text
import sys
from dataclasses import dataclass

from glr_fast.command_exit import run_command
from glr_fast.command_help import EVALUATE
from glr_fast.command_line import parse
from glr_fast.evaluate_options import EvaluateOptions
from glr_fast.run_folders import store_of


@dataclass(frozen=True)
class EvaluateCommand(EvaluateOptions):
    """Evaluate a trained run on one or more splits of a store."""

    json: bool = False
    """Print the figures as JSON, as in metrics.json."""


def main() -> None:
    """Run the command and end the process."""
    run_command(_evaluate)


def _evaluate() -> None:
    given = parse(EvaluateCommand, sys.argv[1:], EvaluateCommand(), EVALUATE)
    options = given.resolved()

    from glr_fast.early_checks import check_store

    check_store(options.store, instead=store_of(options.run))

    from glr_fast.evaluation import evaluate
    from glr_fast.metrics import as_table

    figures = evaluate(options)
    if not figures:  # another than the main process
        return
    if options.json:
        print(json_text.dumps(figures, indent=1))
        return
    print(f"{options.run} on {options.split} of {options.store}")
    print(as_table(figures))
    report = " (report.html shows it with photos)" if options.report else ""
    print(f"written to {options.folder}{report}")


if __name__ == "__main__":
    main()
