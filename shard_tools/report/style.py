"""Colours, fonts and axes that the charts of the page and the PNG files share."""

from __future__ import annotations

from shard_tools.report.statistics import Box

INK, MUTED, GRID, BLUE, ORANGE, GREEN = (
    *("#1b2430", "#566171", "#e4e8ee"),
    *("#1d5fa6", "#d97a1e", "#2b8c6f"),
)

SPLIT_COLOURS = {"train": BLUE, "val": ORANGE, "test": GREEN}

FONT = "Inter, 'Segoe UI', 'Helvetica Neue', Arial, sans-serif"

#: Property -> title, unit on the axis, factor that converts to the unit, logarithmic axis or not.
PROPERTY_AXES = {
    "width": ("Width", "pixels", 1.0, False),
    "height": ("Height", "pixels", 1.0, False),
    "aspect": ("Aspect ratio", "width : height", 1.0, False),
    "bytes": ("File size", "kB", 1e-3, True),
}


def scaled(box: Box, factor: float) -> Box:
    """The box in another unit."""
    values = (box.low, box.q1, box.median, box.q3, box.high, box.mean, box.min, box.max)
    return Box(*(value * factor for value in values), n=box.n)
