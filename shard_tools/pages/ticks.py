"""Ticks of axes that count: whole numbers, and round ones where the axis is logarithmic."""

from __future__ import annotations

import math
from typing import Any

NARROWEST = 30
"""An axis whose ends have this ratio, or a larger one, is logarithmic."""


def round_numbers(least: float, most: float) -> list[int]:
    """Ticks of a logarithmic axis, whole numbers: 1, 2, 5, 10 and so on.

    Only powers of ten where these alone are many.
    """
    least = max(least, 1)
    steps = (1, 2, 5) if most <= 300 * least else (1,)
    every = (step * 10**power for power in range(len(f"{most:.0f}") + 1) for step in steps)
    return [tick for tick in every if least / 2 <= tick <= most * 2]


def whole_ticks(most: float) -> dict[str, Any]:
    """Of a linear axis of numbers from 0: ticks only at whole numbers."""
    return {"rangemode": "tozero"} | ({"tick0": 0, "dtick": 1} if most < 8 else {})


def log_ticks(least: float, most: float) -> dict[str, Any]:
    """Of a logarithmic axis: its range, and ticks at whole round numbers."""
    ticks = round_numbers(least, most)
    room = 0.04 * math.log10(most / least)
    return {
        "type": "log",
        "tickvals": ticks,
        "ticktext": [f"{tick:,}" for tick in ticks],
        "range": [math.log10(least) - room, math.log10(most) + room],
    }


def counted(least: float, most: float) -> dict[str, Any]:
    """An axis of numbers of photos: logarithmic where they differ widely."""
    return log_ticks(least, most) if most >= NARROWEST * least else whole_ticks(most)
