"""See what works on this machine: libraries, GPU, decoders, disk (``glr-doctor``)."""

from __future__ import annotations

import json
import sys
from dataclasses import asdict, dataclass
from pathlib import Path

from glr_fast.command_exit import run_command
from glr_fast.command_help import DOCTOR
from glr_fast.command_line import parse
from glr_fast.errors import ConfigError


@dataclass(frozen=True)
class DoctorOptions:
    """Check libraries, GPU, decoders and disk; exit code 1 if training cannot run like this."""

    folder: Path = Path()
    """Folder whose disk is measured: where the store lies or will lie."""
    json: bool = False
    """Print the findings as JSON."""


def main() -> None:
    """Run the command and end the process."""
    run_command(_examine)


def _examine() -> None:
    options = parse(DoctorOptions, sys.argv[1:], DoctorOptions(), DOCTOR)
    if not options.folder.is_dir():
        raise ConfigError(f"--folder {options.folder}: no such folder")

    from glr_fast.doctor import examine
    from glr_fast.doctor.findings import text_of

    findings = list(examine(options.folder))
    if options.json:
        print(json.dumps([asdict(finding) for finding in findings], indent=1))
    else:
        print(text_of(findings))
    faults = sum(finding.state == "fault" for finding in findings)
    if faults:
        print(f"{faults} faults; training cannot run like this", file=sys.stderr)
        sys.exit(1)


if __name__ == "__main__":
    main()
