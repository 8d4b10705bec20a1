"""What is searched: options of the training by the names of their flags, and the values to try."""

from __future__ import annotations

import dataclasses
import difflib
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, get_type_hints

import optuna

from glr_fast.config import RESUME_MAY_CHANGE, Config, flat
from glr_fast.errors import ConfigError
from glr_fast.value_types import describe, number_kind, read

#: Of the options that a resumed run may change, those that decide the weights of a new run.
_DECIDE = ("model.weights", "model.pretrained", "precision")
MOST_STEPS = 10_000


@dataclass(frozen=True)
class Dimension:
    """One option that is searched."""

    flag: str
    """Its flag's name, such as ``optim.lr``."""
    values: tuple[Any, ...] | None
    """The values to try, or None for a range."""
    low: float = 0
    """Least value of a range."""
    high: float = 0
    """Largest value of a range."""
    step: float | None = None
    """Distance of the values of a range; None for all numbers in it."""
    log: bool = False
    """Whether a range is searched by the logarithm."""
    whole: bool = False
    """Whether a range is of whole numbers."""

    def suggest(self, trial: optuna.trial.BaseTrial) -> Any:
        """The value that a trial is to try."""
        if self.values is not None:
            return trial.suggest_categorical(self.flag, self.values)
        if self.whole:
            step = int(self.step or 1)
            return trial.suggest_int(
                self.flag, int(self.low), int(self.high), step=step, log=self.log
            )
        return trial.suggest_float(self.flag, self.low, self.high, step=self.step, log=self.log)

    def points(self) -> tuple[Any, ...]:
        """All values of it, for a grid.

        Raises:
            ConfigError: they are without number.
        """
        if self.values is not None:
            return self.values
        step = self.step or (1 if self.whole and not self.log else None)
        if step is None:
            raise ConfigError(
                f"--search {self.flag}: a grid needs values; list them, as in "
                f"{self.flag}={self.low:g},{self.high:g}, or give a step: "
                f"{self.flag}={self.low:g}:{self.high:g}:STEP"
            )
        count = math.floor((self.high - self.low) / step + 1e-9) + 1
        if count > MOST_STEPS:
            raise ConfigError(f"--search {self.flag}: {count} steps are too many for a grid")
        return tuple(_plain(self.low + i * step, self.whole) for i in range(count))


def parse_space(searches: Sequence[str], base: Config) -> tuple[Dimension, ...]:
    """The options that ``--search`` names, each value checked as the training would.

    Raises:
        ConfigError: no such option (the message names the nearest), one that does not change the
            weights, a bad range or a bad value.
    """
    if not searches:
        raise ConfigError("say what to search, as in --search optim.lr=log:1e-4:1e-2")
    hints, found = _hints(Config), {}
    for text in searches:
        name, equals, values = text.partition("=")
        flag = name.strip().removeprefix("--").replace("_", "-")
        if flag not in hints:
            close = difflib.get_close_matches(flag, hints, n=1, cutoff=0.5)
            hint = f"; did you mean {close[0]}?" if close else "; glr-train --help lists them"
            raise ConfigError(f"--search {text}: the training has no option {flag!r}{hint}")
        if flag.startswith(RESUME_MAY_CHANGE) and flag not in _DECIDE:
            raise ConfigError(f"--search {flag}: it does not change the weights; give it as a flag")
        if not equals or not values.strip():
            raise ConfigError(f"--search {text}: say what to try, as in {flag}=VALUE,VALUE")
        if flag in found:
            raise ConfigError(f"--search {flag}: given twice")
        found[flag] = _dimension(flag, values.strip(), hints[flag])
        for value in _ends(found[flag]):
            _check(base, flag, value)
    return tuple(found.values())


def with_values(base: Config, values: Mapping[str, Any]) -> Config:
    """A configuration with other values, by the names of their flags.

    Raises:
        ConfigError: a value that the training does not take, alone or with the others.
    """
    top: dict[str, Any] = {}
    sections: dict[str, dict[str, Any]] = {}
    for flag, value in values.items():
        section, dot, name = flag.replace("-", "_").rpartition(".")
        (sections.setdefault(section, {}) if dot else top)[name] = value
    top |= {name: replace(getattr(base, name), **fields) for name, fields in sections.items()}
    return replace(base, **top)


def grid_size(space: Sequence[Dimension]) -> int:
    """Combinations of all values."""
    return math.prod(len(dimension.points()) for dimension in space)


def _dimension(flag: str, text: str, hint: Any) -> Dimension:
    kind = number_kind(hint)
    if kind and ":" in text:
        return _range(flag, text, whole=kind is int)
    values = []
    for part in text.split("|" if "|" in text else ","):
        try:
            values.append(read(part.strip(), hint))
        except ValueError:
            raise ConfigError(
                f"--search {flag}: {part.strip()!r} is not {describe(hint)}"
                + (f"; a range is {flag}=LOW:HIGH or {flag}=log:LOW:HIGH" if kind else "")
            ) from None
    if len(set(values)) < len(values):
        raise ConfigError(f"--search {flag}={text}: a value is given twice")
    # A database holds no paths.
    plain = [value if isinstance(value, int | float | None) else str(value) for value in values]
    return Dimension(flag, tuple(plain))


def _range(flag: str, text: str, whole: bool) -> Dimension:
    log = text.startswith("log:")
    parts = text.removeprefix("log:").split(":")
    number = int if whole else float
    try:
        low, high, *rest = [number(part) for part in parts]
    except ValueError:
        low, high, rest = 0, 0, [0, 0]
    step = rest[0] if rest else None
    if len(rest) > 1 or (log and rest) or not all(map(math.isfinite, (low, high, *rest))):
        kind = "whole numbers" if whole else "numbers"
        raise ConfigError(
            f"--search {flag}={text}: a range of {kind} is LOW:HIGH, LOW:HIGH:STEP or log:LOW:HIGH"
        )
    if not low < high:
        raise ConfigError(f"--search {flag}={text}: the range must go from less to more")
    if log and low <= 0:
        raise ConfigError(f"--search {flag}={text}: a logarithmic range must begin above 0")
    if step is not None and not 0 < step <= high - low:
        raise ConfigError(
            f"--search {flag}={text}: the step must be above 0 and fit into the range"
        )
    if step is not None:  # Optuna wants the last value to be one of the steps
        high = _plain(low + math.floor((high - low) / step + 1e-9) * step, whole)
    return Dimension(flag, None, low, high, step, log, whole)


def _plain(number: float, whole: bool) -> float:
    """Without the dust of adding steps: 0.3, not 0.30000000000000004."""
    return int(number) if whole else float(f"{number:.12g}")


def _ends(dimension: Dimension) -> tuple[Any, ...]:
    return dimension.values or (dimension.low, dimension.high)


def _check(base: Config, flag: str, value: Any) -> None:
    """Check a value as its part of the configuration does; what others must allow is left out."""
    section, dot, name = flag.replace("-", "_").rpartition(".")
    part = getattr(base, section) if dot else base
    try:
        replace(part, **{name: value})
    except ConfigError as error:
        raise ConfigError(f"--search {flag}: {error}") from None


def _hints(kind: type, prefix: str = "") -> dict[str, Any]:
    """The type of every option, by its flag's name."""
    hints: dict[str, Any] = {}
    for name, hint in get_type_hints(kind).items():
        flag = prefix + name.replace("_", "-")
        hints |= _hints(hint, f"{flag}.") if dataclasses.is_dataclass(hint) else {flag: hint}  # type: ignore[arg-type]
    return hints


def searched(config: Config) -> dict[str, Any]:
    """The options that decide the weights, which all workers of a study must agree on."""
    return {
        flag: value if isinstance(value, bool | int | float | None) else str(value)
        for flag, value in flat(config).items()
        if flag in _DECIDE or flag == "run.monitor" or not flag.startswith(RESUME_MAY_CHANGE)
    }
