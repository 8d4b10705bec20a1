"""Below which probability an answer is marked unsure: given, or as the validation photos say."""

from __future__ import annotations

import json
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from glr_fast.errors import ConfigError
from glr_fast.predict_options import DEFAULT_PRECISION, PredictOptions
from glr_fast.trained_model import TrainedModel

THRESHOLDS = "thresholds.json"
"""Beside an export's weights."""
_EVALUATION = Path("eval-val") / "metrics.json"
HOW = "glr-evaluate --run {run} --split val finds it"


@dataclass(frozen=True)
class Threshold:
    """Where answers begin to be sure."""

    probability: float | None
    """Answers below it are unsure; None: nothing is known, nothing is marked."""
    reason: str
    """Where it comes from, in words."""


def choose_threshold(model: TrainedModel, options: PredictOptions) -> Threshold:
    """The threshold that the options ask for.

    Raises:
        ConfigError: they name a precision that was not looked at, or that no threshold reaches.
    """
    if options.threshold is not None:
        return Threshold(options.threshold, "as given")
    known, where = _known(model)
    wanted = options.precision_target
    if not known:
        how = HOW.format(run=model.folder.parent if model.folder.name == "best" else model.folder)
        if wanted is not None:
            raise ConfigError(
                f"--precision-target {wanted}: no threshold is known for {model.folder}; {how}"
            )
        return Threshold(None, f"no threshold is known for this model; {how}")
    target = DEFAULT_PRECISION if wanted is None else wanted
    looked_at, probability = _probability(known, target, where)
    if not looked_at and wanted is not None:
        raise ConfigError(f"--precision-target {wanted}: {where} knows {', '.join(known)}")
    if probability is None:
        said = f"none reaches {target:.0%} right answers on the validation photos ({where})"
        if wanted is not None:
            raise ConfigError(f"--precision-target {wanted}: {said}; give --threshold")
        return Threshold(None, said)
    return Threshold(probability, f"{target:.0%} right answers on the validation photos")


def _known(model: TrainedModel) -> tuple[dict[str, Any], Path]:
    """Thresholds by the precision that they reach, and the file that says so."""
    folder = model.folder.resolve()
    run = folder.parent.parent if folder.parent.name == "checkpoints" else folder.parent
    for evaluated in (folder / _EVALUATION, run / _EVALUATION):
        figures = _read(evaluated) if evaluated.is_file() else {}
        # Those of other weights say nothing of these.
        if figures.get("thresholds") and replace(model, folder=folder).is_of(figures):
            return figures["thresholds"], evaluated
    beside = folder / THRESHOLDS
    return (_read(beside) if beside.is_file() else {}), beside


def _read(file: Path) -> dict[str, Any]:
    try:
        return dict(json.loads(file.read_text()))
    except (OSError, ValueError, TypeError) as error:
        raise ConfigError(f"{file}: cannot be read ({error}); evaluate again") from None


def _probability(known: dict[str, Any], target: float, where: Path) -> tuple[bool, float | None]:
    """Whether a precision was looked at, and the probability from which on it is reached."""
    try:
        for wanted, found in known.items():
            if abs(float(wanted) - target) < 1e-9:
                at = found["probability"]
                return True, None if at is None else float(at)
    except (KeyError, TypeError, ValueError):
        raise ConfigError(f"{where}: no thresholds of this version; evaluate again") from None
    return False, None
