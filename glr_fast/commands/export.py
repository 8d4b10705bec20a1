"""Export a trained model for other programs (``glr-export``, ``launch/export.py``)."""

from __future__ import annotations

import json as json_text
import sys
from dataclasses import asdict, dataclass, replace

from glr_fast.command_exit import run_command
from glr_fast.command_help import EXPORT
from glr_fast.command_line import parse
from glr_fast.export_options import ExportOptions
from glr_fast.run_folders import model_folder


@dataclass(frozen=True)
class ExportCommand(ExportOptions):
    """Write a trained model as a folder that other programs can use."""

    json: bool = False
    """Print what was written as JSON."""


def main() -> None:
    """Run the command and end the process."""
    run_command(_export)


def _export() -> None:
    options = parse(ExportCommand, sys.argv[1:], ExportCommand(), EXPORT)
    options = replace(options, model=model_folder(options.model, "--model"))
    if options.store is not None:
        from glr_fast.early_checks import check_store

        check_store(options.store)

    from glr_fast.exports import export

    written = export(options)
    if options.json:
        print(json_text.dumps(asdict(written), indent=1, default=str))
        return
    for program in written.programs:
        print(
            f"{program.file}: probabilities differ from the model's by at most "
            f"{program.worst_difference:.1e} on {program.source}"
        )
    print(f"{options.model} written to {written.folder}; its README.md says how to use it")


if __name__ == "__main__":
    main()
