"""``glr-shard``: the command line; each command is a module of this folder.

To add a command, write a module with ``HELP``, ``add_arguments(parser)`` and
``run(parsed) -> exit code``, and enter it in ``COMMANDS``. Its docstring is shown by ``--help``.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence

from shard_tools.build import BuildInterruptedError
from shard_tools.cli import build, eda, fetch, index, repair, show, stats, verify
from shard_tools.errors import StoreError

PROGRAM = "glr-shard"
COMMANDS = {
    "fetch": fetch,
    "build": build,
    "index": index,
    "stats": stats,
    "eda": eda,
    "show": show,
    "verify": verify,
    "repair": repair,
}


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command line.

    Args:
        arguments: the command line without the program's name; None takes that of this process.

    Returns:
        The exit code: 0 for success, 1 if ``verify`` found problems, 2 for an error that the user
        can correct, 130 after Ctrl-C.
    """
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


class _Parser(argparse.ArgumentParser):
    """Prints an error as one line: what is wrong, and where the options are listed."""

    def error(self, message: str) -> None:  # type: ignore[override]
        self.exit(2, f"{PROGRAM}: error: {message}; see {self.prog} --help\n")


def _parser() -> argparse.ArgumentParser:
    description = "Packs photo collections into stores of WebDataset tars, and inspects stores."
    parser = _Parser(prog=PROGRAM, description=description)
    commands = parser.add_subparsers(required=True, metavar="COMMAND")
    for name, command in COMMANDS.items():
        added = commands.add_parser(name, help=command.HELP, description=command.__doc__)
        added.set_defaults(run=command.run)
        command.add_arguments(added)
    return parser
