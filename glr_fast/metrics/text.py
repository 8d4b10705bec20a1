"""The figures of an evaluation as lines for a terminal."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from glr_fast.metrics.calibration import too_few

#: Figures in the order of the table: key in metrics.json, words.
ROWS = (
    ("accuracy", "accuracy"),
    ("top5_accuracy", "top-5 accuracy"),
    ("balanced_accuracy", "balanced accuracy"),
    *(
        (f"{average}_{name}", f"{average} {'F1' if name == 'f1' else name}")
        for average in ("macro", "weighted")
        for name in ("precision", "recall", "f1")
    ),
    ("gap", "GAP"),
    ("ece", "calibration error"),
)


def as_table(figures: Mapping[str, Any]) -> str:
    """The figures of ``metrics.json`` as lines of text, shares in per cent.

    Beside each figure stands its 95% interval, where the figures have one.
    """
    some = "photo" if figures["photos"] == 1 else "photos"
    kinds = "class" if figures["classes"] == 1 else "classes"
    head = f"{figures['photos']:,} {some} of {figures['classes']:,} {kinds}"
    if figures.get("unknown_photos"):
        head += f"; {figures['unknown_photos']:,} photos of classes that the model does not know"
    rows = [(text, key, figures[key]) for key, text in ROWS if key in figures]
    for name, band in figures["by_frequency"].items():
        text = f"{name} ({band['training_photos']} training photos), {band['photos']:,} photos"
        rows.append((text, f"accuracy_{name}", band["accuracy"]))
    width = max(len(text) for text, _, _ in rows)
    ranges = figures.get("intervals", {})
    lines = [
        f"  {text:<{width}}  {percent(value):>7}{_range(ranges.get(key))}"
        for text, key, value in rows
    ]
    return "\n".join([head, *lines, *_thresholds(figures.get("thresholds", {}))])


def percent(share: float | None, digits: int = 2) -> str:
    """A share as per cent, or a dash for None."""
    return "-" if share is None else f"{100 * share:.{digits}f}%"


def _range(interval: list[float] | None) -> str:
    if interval is None:
        return ""
    low, high = (percent(value, 1) for value in interval)
    return f"  ({low} to {high})"


def _thresholds(thresholds: Mapping[str, Any]) -> list[str]:
    lines = []
    for wanted, found in thresholds.items():
        target = f"{float(wanted):.0%}"
        if found["probability"] is None:
            lines.append(f"  no threshold makes {target} of the answers right")
        else:
            few = too_few(found, float(wanted))
            remark = f"; {found['accepted']} photos, too few to tell" if few else ""
            lines.append(
                f"  {target} right from probability {found['probability']:.3f} on, which "
                f"{percent(found['coverage'], 1)} of the photos reach{remark}"
            )
    return lines
