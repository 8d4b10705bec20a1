"""Colours and axes that the charts of the page and the PNG files share."""

from __future__ import annotations

from shard_tools.report.statistics import Box

#: Of the PNG files; the page has its own, for light and dark, in ``templates/report.css``.
INK, MUTED, GRID = "#1b2430", "#566171", "#e4e8ee"
COLOURS = {"blue": "#1d5fa6", "orange": "#d97a1e", "green": "#2b8c6f"}

#: Split -> colour and the pattern that tells it apart without its colour.
SPLIT_STYLES = {"train": ("blue", ""), "val": ("orange", "/"), "test": ("green", ".")}

#: Property -> title, unit on the axis, factor that converts to the unit, logarithmic axis or not.
PROPERTY_AXES = {
    "width": ("Width", "pixels", 1.0, False),
    "height": ("Height", "pixels", 1.0, False),
    "aspect": ("Aspect ratio", "width : height", 1.0, False),
    "bytes": ("File size", "kB", 1e-3, True),
}

FEW_CLASSES = 40
"""As many are drawn as bars with their names."""


def split_style(split: str) -> tuple[str, str]:
    """Colour and pattern of a split, or of all photos."""
    return SPLIT_STYLES.get(split, ("blue", ""))


def scaled(box: Box, factor: float) -> Box:
    """The box in another unit."""
    values = (box.low, box.q1, box.median, box.q3, box.high, box.mean, box.min, box.max)
    return Box(*(value * factor for value in values), n=box.n)


def shorten(name: str, most: int) -> str:
    """A name that fits beside a chart."""
    return name if len(name) <= most else name[: most - 1] + "…"
