"""What the scripts in ``launch/`` share: flags into a configuration, errors into one line.

Nothing heavy is imported here, so that a mistyped flag is answered at once.
"""

from __future__ import annotations

import contextlib
import difflib
import io
import os
import sys
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, NoReturn

import tyro

from glr_fast.config import Config, flat
from glr_fast.errors import ConfigError, TrainingError
from glr_fast.recipes import RECIPES

FAILED = 1
BAD_INPUT = 2
INTERRUPTED = 130


def parse_train(arguments: Sequence[str]) -> Config:
    """The configuration that a training command line asks for.

    ``--recipe NAME`` gives the defaults; ``--resume`` without it takes them from the run folder.

    Raises:
        ConfigError: unknown recipe or flag (the message names the nearest), or a bad value.
    """
    rest, name = _take(list(arguments), "--recipe")
    if name is None and "--resume" in rest:
        base = _config_of_run(rest)
    else:
        base = _recipe(name or "resnet50_ce")
    return parse(Config, rest, base)


def parse(kind: type, arguments: Sequence[str], default: Any) -> Any:
    """Parse flags into a dataclass, with ``default`` for what is not given.

    Raises:
        ConfigError: unknown flag or bad value.
    """
    said = io.StringIO()
    wants_help = any(item in ("-h", "--help") for item in arguments)
    with contextlib.ExitStack() as stack:
        if not wants_help:  # tyro draws a box around its messages; ours are one line
            stack.enter_context(contextlib.redirect_stderr(said))
            stack.enter_context(contextlib.redirect_stdout(said))
        try:
            config, unknown = tyro.cli(
                kind, args=arguments, default=default, return_unknown_args=True
            )
        except SystemExit:
            if wants_help:
                raise
            raise ConfigError(_one_line(said.getvalue())) from None
    if unknown:
        flags = [f"--{name}" for name in flat(default)] + ["--recipe"]
        raise ConfigError(f"unknown option {unknown[0]}{_nearest(unknown[0], flags)}")
    return config


def run_command(work: Callable[[], object]) -> NoReturn:
    """Run a script's work and end the process: 0 when done, 2 with one line for bad input.

    1 with one line for a training that cannot go on; anything else is a fault, with its traceback.
    """
    try:
        _warn_of_lost_processes()
        work()
    except ConfigError as error:
        _fail(f"error: {error}", BAD_INPUT)
    except TrainingError as error:
        _fail(f"error: {error}", FAILED)
    except KeyboardInterrupt as interrupt:
        note = str(interrupt) or "nothing was saved"
        _fail(f"interrupted: {note}", INTERRUPTED)
    except Exception as error:
        # Raised by the loader, so its module is loaded by now.
        from glr_fast.data import StoreError

        if not isinstance(error, StoreError):
            raise
        _fail(f"error: {error}", BAD_INPUT)
    sys.exit(0)


def _fail(message: str, code: int) -> NoReturn:
    if os.environ.get("RANK", "0") == "0":
        print(message, file=sys.stderr)
    sys.exit(code)


def _recipe(name: str) -> Config:
    if name not in RECIPES:
        known = ", ".join(RECIPES)
        raise ConfigError(f"unknown recipe {name!r}{_nearest(name, list(RECIPES))} (all: {known})")
    return RECIPES[name]()


def _config_of_run(arguments: list[str]) -> Config:
    _, out = _take(arguments, "--out")
    file = Path(out or Config().out) / "config.json"
    if not file.is_file():
        return Config()
    config = Config.from_json(file.read_text(), str(file))
    return replace(config, run=replace(config.run, max_steps=None))  # where it was cut short


def _take(arguments: list[str], flag: str) -> tuple[list[str], str | None]:
    """Split ``flag VALUE`` or ``flag=VALUE`` off a command line; the last one counts."""
    rest, value = [], None
    items = iter(arguments)
    for item in items:
        if item == flag:
            value = next(items, None)
            if value is None:
                raise ConfigError(f"{flag} needs a value")
        elif item.startswith(f"{flag}="):
            value = item.partition("=")[2]
        else:
            rest.append(item)
    return rest, value


def _nearest(word: str, known: list[str]) -> str:
    close = difflib.get_close_matches(word.partition("=")[0], known, n=1, cutoff=0.5)
    return f"; did you mean {close[0]}?" if close else "; --help lists them"


def _one_line(box: str) -> str:
    """The message inside tyro's box: the text between its first two rules."""
    parts: list[list[str]] = [[]]
    for line in box.splitlines():
        text = line.strip(" │╭╮╰╯─-")
        if text:
            parts[-1].append(text)
        elif line.strip():
            parts.append([])
    message = " ".join(parts[1] if len(parts) > 1 and parts[1] else parts[0])
    return message.removesuffix(".") or "the command line could not be read; try --help"


def _warn_of_lost_processes() -> None:
    """``accelerate launch --cpu --num_processes 2`` starts one process and says nothing: say it.

    That launcher sets a rendezvous address only when several processes were asked for, and no
    world size. A shell that exports MASTER_PORT itself looks the same, hence a warning only.
    """
    environment = os.environ
    launched = "ACCELERATE_MIXED_PRECISION" in environment and "MASTER_PORT" in environment
    sizes = ("WORLD_SIZE", "LOCAL_RANK", "PMI_SIZE", "OMPI_COMM_WORLD_SIZE", "MV2_COMM_WORLD_SIZE")
    if launched and not any(name in environment for name in sizes):
        print(
            "warning: accelerate launch started one process only, though it was set up for several "
            "(its --cpu mode does so without MPI); two CPU processes: ACCELERATE_USE_CPU=true "
            "accelerate launch --config_file launch/accelerate/two_cpu_processes.yaml ...",
            file=sys.stderr,
        )
