"""Recognise the landmarks on photos (``glr-predict``, ``launch/predict.py``)."""

from __future__ import annotations

import io
import sys
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from glr_fast.command_exit import run_command
from glr_fast.command_help import PREDICT
from glr_fast.command_line import parse_known, unknown_option
from glr_fast.errors import ConfigError
from glr_fast.predict_options import MOST_ROWS, PredictCommand, PredictOptions
from glr_fast.run_folders import model_folder

#: Suffixes of files that are photos for certain.
_SURE = {".jpg", ".jpeg", ".png", ".webp"}


def main() -> None:
    """Run the command and end the process."""
    for stream in (sys.stdout, sys.stderr):  # for terminals that know only ASCII
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")
    run_command(_predict)


def parse_predict(arguments: Sequence[str]) -> PredictCommand:
    """The options of a command line; photos may stand between flags, and after ``--``.

    Raises:
        ConfigError: unknown flag or bad value, no photos.
    """
    flags, last = list(arguments), []
    if "--" in flags:
        at = flags.index("--")
        flags, last = flags[:at], flags[at + 1 :]
    options, rest = parse_known(PredictCommand, flags, PredictCommand(), PREDICT)
    for word in rest:
        if word.startswith("-") and word != "-":
            raise unknown_option(word, options)
    options = replace(options, photos=(*options.photos, *rest, *last))
    if not options.photos:
        raise ConfigError("no photos are named: give files, folders, zips, tars or stores, or -")
    return options


def _predict() -> None:
    options = parse_predict(sys.argv[1:])
    asked = options.model
    options = replace(options, model=model_folder(asked, "--model"))
    _check_photos(options.photos)
    options.check_apart(options.photos)
    if _on_terminal(options):
        _check_fits_terminal(_at_least(options.photos), "at least ")

    from glr_fast.prediction import check_places, list_arguments, predict_listed
    from glr_fast.prediction.console import say
    from glr_fast.trained_model import load_model

    check_places(options)
    model = load_model(options.model, options.checkpoint)
    listed = list_arguments(options.photos, (options.gallery, options.sort_into))
    if _on_terminal(options):
        _check_fits_terminal(len(listed))
    if options.model != asked:
        print(f"model: {model.title}, the newest run; --model names another", file=sys.stderr)
    try:
        outcome = predict_listed(model, listed, options, keep=len(listed) <= MOST_ROWS)
        say(outcome, options)
    except KeyboardInterrupt:
        if options.sort_into is None:
            raise
        note = f"what was sorted into {options.sort_into} stays; the same command continues"
        raise KeyboardInterrupt(note) from None


def _check_photos(names: Sequence[str]) -> None:
    """One that is missing is listed with the answers; all of them are a mistake of the user's."""
    certain = [name for name in names if name != "-" and "://" not in name]
    missing = [name for name in certain if not set("*?[") & set(name) and not Path(name).exists()]
    if len(missing) == len(names):
        raise ConfigError(f"{', '.join(missing[:3])}: no such photo or folder")


def _on_terminal(options: PredictOptions) -> bool:
    return not (options.out or options.gallery or options.sort_into)


def _at_least(names: Sequence[str]) -> int:
    """Photos in files and folders as far as their names tell; counted a little beyond a screen.

    The whole list, with zips, tars and stores, takes torch to be loaded.
    """
    photos: set[Path] = set()
    for name in names:
        folder = Path(name)
        for file in folder.rglob("*") if name != "-" and folder.is_dir() else [folder]:
            hidden = any(part.startswith(".") for part in file.relative_to(folder).parts)
            if file.suffix.lower() in _SURE and not hidden and not file.is_symlink():
                photos.add(file.absolute())
            if len(photos) > MOST_ROWS:
                return len(photos)
    return len(photos)


def _check_fits_terminal(photos: int, prefix: str = "") -> None:
    if photos > MOST_ROWS:
        raise ConfigError(
            f"{prefix}{photos:,} photos are too many for the terminal; give --out FILE.csv (or "
            ".jsonl, .parquet), --gallery DIR or --sort-into DIR"
        )


if __name__ == "__main__":
    main()
