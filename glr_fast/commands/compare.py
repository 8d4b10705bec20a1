"""Compare evaluated runs and elect the best (``glr-compare``, ``launch/compare.py``)."""

from __future__ import annotations

import json as json_text
import sys
from dataclasses import dataclass, replace

from glr_fast.command_exit import run_command
from glr_fast.command_help import COMPARE
from glr_fast.command_line import parse
from glr_fast.compare_options import CompareOptions
from glr_fast.errors import ConfigError
from glr_fast.run_folders import RUNS, runs_in


@dataclass(frozen=True)
class CompareCommand(CompareOptions):
    """Compare evaluated runs, and elect the best by its figure on the validation split."""

    json: bool = False
    """Print the outcome as JSON."""


def main() -> None:
    """Run the command and end the process."""
    run_command(_compare)


def _compare() -> None:
    options = parse(CompareCommand, sys.argv[1:], CompareCommand(), COMPARE)
    if not options.runs:
        evaluated = [run for run in runs_in(RUNS) if (run / "eval-val/metrics.json").is_file()]
        if not evaluated:
            raise ConfigError(
                f"no runs are named, and none in {RUNS} was evaluated on val; give their folders, "
                "or evaluate them with glr-evaluate --split val"
            )
        options = replace(options, runs=tuple(evaluated))
    if options.overwrite and options.out is None:
        raise ConfigError("--overwrite is for the folder of --out; give both")
    for run in options.runs:
        if not run.is_dir():
            raise ConfigError(f"{run}: no such run folder")

    from glr_fast.comparison import as_dict, as_text, compare

    comparison = compare(options)
    if options.json:
        print(json_text.dumps(as_dict(comparison), indent=1))
        return
    print(as_text(comparison))
    if comparison.export:
        print(f"written to {comparison.export}; its README.md says how to use it")
    else:
        print("--out best writes it as an export")


if __name__ == "__main__":
    main()
