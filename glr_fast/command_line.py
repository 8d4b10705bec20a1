"""What the scripts in ``launch/`` share: flags into a configuration, errors into one line.

Nothing heavy is imported here, so that a mistyped flag is answered at once.
"""

from __future__ import annotations

import contextlib
import difflib
import io
import re
import sys
from collections.abc import Sequence
from dataclasses import dataclass, fields, replace
from pathlib import Path
from typing import Any, Literal

import tyro

from glr_fast.command_help import TRAIN, TUNE, CommandHelp, version
from glr_fast.config import Config, flat
from glr_fast.errors import ConfigError
from glr_fast.recipes import RECIPES
from glr_fast.tune_options import TuneOptions

DEFAULT_RECIPE = "resnet50_ce"
SHELLS = ("bash", "zsh", "fish")


@dataclass(frozen=True)
class _Defaults:
    """Where the defaults come from; taken off the command line before the rest is parsed."""

    recipe: Literal[tuple(RECIPES)] = "resnet50_ce"  # type: ignore[valid-type]
    """Recipe that gives the defaults."""
    config: Path | None = None
    """File that gives the defaults instead: best.json of glr-tune, config.json of a run."""
    json: bool = False
    """When done, print run folder, best figure, step and seconds as JSON."""


@dataclass(frozen=True)
class _TrainFlags(Config, _Defaults):
    """All flags of a training, for the help and for shells."""


def parse_train(arguments: Sequence[str], also: Sequence[str] = ()) -> Config:
    """The configuration that a training command line asks for.

    ``also`` are flags of the command that are taken off before; a typing error may mean them.
    ``--recipe NAME`` gives the defaults, or ``--config FILE``: a study's ``best.json``, a run's
    ``config.json``. ``--resume`` without either takes them from the run folder.

    Raises:
        ConfigError: unknown recipe or flag (the message names the nearest), a bad value, or a file
            that is no configuration.
    """
    rest, name = _take(list(arguments), "--recipe")
    rest, file = _take(rest, "--config")
    if name is not None and file is not None:
        raise ConfigError("--recipe and --config both give the defaults; take one of them")
    if file is not None:
        base = read_config(Path(file))
    elif name is None and "--resume" in rest:
        base = _config_of_run(rest)
    else:
        base = _recipe(name or DEFAULT_RECIPE)
    if also == () and _asks(rest):  # with the flags that are taken off
        values = {item.name: getattr(base, item.name) for item in fields(base)}
        shown = _TrainFlags(
            **values, recipe=name or DEFAULT_RECIPE, config=Path(file) if file else None
        )
        parse(_TrainFlags, rest, shown, TRAIN)
    return parse(Config, rest, base, TRAIN, [*also, "--recipe", "--config"])


def parse_tune(arguments: Sequence[str]) -> tuple[TuneOptions, Config]:
    """What a search is asked for, and the options of the training that it does not search.

    Raises:
        ConfigError: as :func:`parse_train`.
    """
    options, rest = parse_known(TuneOptions, arguments, TuneOptions(), TUNE)
    own = [f"--{name}" for name in flat(TuneOptions())]
    return options, parse_train(rest, also=own)


def read_config(file: Path) -> Config:
    """The configuration in a file that ``glr-tune`` or a run wrote, to be started anew.

    Raises:
        ConfigError: no such file, or none of this version's configurations.
    """
    if file.is_dir():
        raise ConfigError(f"--config {file}: a folder; give a file, such as {file / 'config.json'}")
    try:
        text = file.read_text()
    except (OSError, UnicodeDecodeError) as error:
        reason = getattr(error, "strerror", None) or "not a text file"
        raise ConfigError(f"--config {file}: cannot be read ({reason})") from None
    return replace(Config.from_json(text, f"--config {file}"), resume=False)


def parse(
    kind: type,
    arguments: Sequence[str],
    default: Any,
    command: CommandHelp | None = None,
    also: Sequence[str] = (),
) -> Any:
    """Parse flags into a dataclass, with ``default`` for what is not given.

    ``--help``, ``--version`` and ``--print-completion SHELL`` print and end the process. ``also``
    are further flags that a typing error may mean.

    Raises:
        ConfigError: unknown flag or bad value.
    """
    config, unknown = parse_known(kind, arguments, default, command)
    if unknown:
        raise unknown_option(unknown[0], default, also)
    return config


def parse_known(
    kind: type, arguments: Sequence[str], default: Any, command: CommandHelp | None = None
) -> tuple[Any, list[str]]:
    """As :func:`parse`; what belongs to no flag is returned beside it.

    Raises:
        ConfigError: bad value.
    """
    name = command.name if command else None
    about = command.about if command else None
    if "--version" in arguments:
        print(f"{name or 'glr-fast'} {version()}")
        sys.exit(0)
    rest, shell = _take(list(arguments), "--print-completion")
    if shell is not None:
        if shell not in SHELLS:
            raise ConfigError(f"--print-completion {shell}: there are {', '.join(SHELLS)}")
        tyro.cli(kind, args=["--tyro-print-completion", shell], default=default, prog=name)
    said = io.StringIO()
    wants_help = _asks(arguments)
    with contextlib.ExitStack() as stack:
        if not wants_help:  # tyro draws a box around its messages; ours are one line
            stack.enter_context(contextlib.redirect_stderr(said))
            stack.enter_context(contextlib.redirect_stdout(said))
        try:
            return tyro.cli(
                kind,
                args=rest,
                default=default,
                description=about,
                prog=name,
                return_unknown_args=True,
            )
        except SystemExit:
            if wants_help:
                if command:
                    print(f"\n{command.epilogue()}")
                raise
            raise ConfigError(_one_line(said.getvalue())) from None


def _asks(arguments: Sequence[str]) -> bool:
    """Whether a command line asks for the list of options."""
    return any(
        item in ("-h", "--help") or item.startswith("--print-completion") for item in arguments
    )


def unknown_option(name: str, default: Any, also: Sequence[str] = ()) -> ConfigError:
    """The error for a flag that there is not; it names the nearest, perhaps one of ``also``."""
    flags = [f"--{flag}" for flag in flat(default)] + list(also)
    return ConfigError(f"unknown option {name}{_nearest(name, flags)}")


def _recipe(name: str) -> Config:
    if name not in RECIPES:
        known = ", ".join(RECIPES)
        raise ConfigError(f"unknown recipe {name!r}{_nearest(name, list(RECIPES))} (all: {known})")
    return RECIPES[name]()


def _config_of_run(arguments: list[str]) -> Config:
    base = _recipe(DEFAULT_RECIPE)
    _, out = _take(arguments, "--out")
    file = Path(out or base.out) / "config.json"
    if not file.is_file():
        return base
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
    message = _NOT_A_NUMBER.sub(_not_a_number, message)
    return message.removesuffix(".") or "the command line could not be read; try --help"


_NOT_A_NUMBER = re.compile(
    r"Error parsing (--\S+): (invalid literal for int\(\) with base 10|could not convert string to "
    r"float): '(.*?)'"
)


def _not_a_number(found: re.Match[str]) -> str:
    """What Python says of a word that is no number, in words."""
    flag, complaint, word = found.groups()
    return f"{flag} {word}: not a {'whole ' if 'int' in complaint else ''}number"
