"""Ticks of the PNG charts: whole numbers, with commas."""

from __future__ import annotations

from matplotlib.axis import Axis
from matplotlib.ticker import FixedLocator, FuncFormatter, MaxNLocator, NullFormatter

from shard_tools.pages import round_numbers

COMMAS = FuncFormatter(lambda value, _: f"{value:,.6g}")


def whole(axis: Axis) -> None:
    """Ticks at whole numbers only."""
    axis.set_major_locator(MaxNLocator("auto", integer=True, min_n_ticks=1))
    axis.set_major_formatter(COMMAS)


def round_ticks(axis: Axis, least: float, most: float) -> None:
    """Ticks of a logarithmic axis at round whole numbers."""
    axis.set_major_locator(FixedLocator(round_numbers(least, most)))
    axis.set_major_formatter(COMMAS)
    axis.set_minor_formatter(NullFormatter())
