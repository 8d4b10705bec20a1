"""``glr-shard``: the command line; each command is a module of this folder.

To add a command, write a module with ``HELP``, ``EXAMPLES``, ``add_arguments(parser)`` and
``run(parsed) -> exit code``, and enter it in ``COMMANDS``. Its docstring is shown by ``--help``,
and its examples below the options.
"""

from __future__ import annotations

import argparse
import difflib
import importlib.metadata
import re
import signal
import sys
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager

import shtab

from shard_tools.build import BuildInterruptedError
from shard_tools.cli import build, eda, fetch, index, repair, show, stats, verify
from shard_tools.cli.output import drop_stdout, fit_terminal
from shard_tools.errors import StoreError, escaped
from shard_tools.files.remote import of_client, unusable
from shard_tools.workers.without_pandas import without_pandas

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
        can correct, 130 after Ctrl-C, 143 after SIGTERM.
    """
    if arguments is None:  # this process is ours alone
        without_pandas()
    fit_terminal()
    parser = _parser()
    if not (sys.argv[1:] if arguments is None else arguments):
        parser.print_help()
        return 0
    parsed = parser.parse_args(arguments)
    with _terminable() as signals:
        try:
            return parsed.run(parsed)
        except BuildInterruptedError as stop:
            print(f"{PROGRAM}: {stop}", file=sys.stderr)
        except KeyboardInterrupt:
            print(f"{PROGRAM}: interrupted", file=sys.stderr)
        except StoreError as error:
            print(f"{PROGRAM}: error: {error}", file=sys.stderr)
            return 2
        except BrokenPipeError:  # such as glr-shard stats ... | head -1
            drop_stdout()
            return 128 + signal.SIGPIPE
        except Exception as error:
            if not isinstance(error, OSError) and not of_client(error):
                raise
            drop_stdout()  # which may be what is full
            print(f"{PROGRAM}: error: {escaped(_explained(error, parsed))}", file=sys.stderr)
            return 2
        return 128 + (signals[0] if signals else signal.SIGINT)


def _explained(error: Exception, parsed: argparse.Namespace) -> str:
    """What went wrong outside of the program: a file, or an object store that could not be used."""
    if of_client(error):
        named = (getattr(parsed, name, None) for name in ("store", "path", "out"))
        return unusable(next((place for place in named if place is not None), "store"), error)
    assert isinstance(error, OSError)
    where = f"{error.filename}: " if error.filename is not None else ""
    return f"{where}{error.strerror or error}"


@contextmanager
def _terminable() -> Iterator[list[int]]:
    """End a command on SIGTERM as on Ctrl-C, so that it can say how to continue.

    Yields:
        The signals received so far.
    """
    came: list[int] = []

    def stop(number: int, frame: object) -> None:
        came.append(number)
        raise KeyboardInterrupt

    if threading.current_thread() is not threading.main_thread():
        yield came
        return
    before = signal.signal(signal.SIGTERM, stop)
    try:
        yield came
    finally:
        signal.signal(signal.SIGTERM, before)


class _Parser(argparse.ArgumentParser):
    """Prints an error as one line: what is wrong, and where the options are listed."""

    def error(self, message: str) -> None:  # type: ignore[override]
        found = _CHOICE.search(message)
        hint = _meant(found[1], re.findall(r"[\w-]+", found[2])) if found else ""
        self.exit(2, f"{PROGRAM}: error: {message}{hint}; see {self.prog} --help\n")

    def parse_known_args(self, args=None, namespace=None):  # type: ignore[no-untyped-def]
        """As argparse does; a misspelt option is named before what is missing without it."""
        known = list(self._option_string_actions)
        for word in args or () if self._subparsers is None else ():
            name = word.partition("=")[0]
            if name == "--":
                break
            if name.startswith("--") and not any(option.startswith(name) for option in known):
                self.error(f"unrecognized arguments: {word}{_meant(name, known)}")
        return super().parse_known_args(args, namespace)


_CHOICE = re.compile(r"invalid choice: '([^']*)' \(choose from (.*)\)")


def _meant(word: str, known: Sequence[str]) -> str:
    close = difflib.get_close_matches(word, known, n=1)
    return f"; did you mean {close[0]}?" if close else ""


def _parser() -> argparse.ArgumentParser:
    description = "Packs photo collections into stores of WebDataset tars, and inspects stores."
    first = [f"glr-shard {name} --help" for name in ("build", "stats")]
    parser = _Parser(prog=PROGRAM, description=description, epilog="see " + " and ".join(first))
    parser.add_argument("--version", action="version", version=f"{PROGRAM} {_version()}")
    text = "print a completion script for a shell"
    shtab.add_argument_to(parser, "--print-completion", help=text)
    commands = parser.add_subparsers(required=True, metavar="COMMAND")
    for name, command in COMMANDS.items():
        added = commands.add_parser(
            name,
            help=command.HELP,
            description=command.__doc__,
            epilog=_examples(command.EXAMPLES),
            formatter_class=_Formatter,
        )
        added.set_defaults(run=command.run)
        command.add_arguments(added)
    return parser


class _Formatter(argparse.HelpFormatter):
    """Leaves the line breaks of the examples alone."""

    def _fill_text(self, text: str, width: int, indent: str) -> str:
        if text.startswith(_EXAMPLES):
            return text
        return super()._fill_text(text, width, indent)


_EXAMPLES = "examples:"


def _examples(lines: Sequence[tuple[str, str]]) -> str:
    return "\n".join([_EXAMPLES, *(f"  # {does}\n  {line}" for line, does in lines)])


def _version() -> str:
    try:
        return importlib.metadata.version("glr-fast")
    except importlib.metadata.PackageNotFoundError:
        return "of a clone that is not installed"
