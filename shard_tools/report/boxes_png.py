"""How class sizes and properties of photos spread, as one picture (matplotlib).

Box plots where quartiles say something; histograms where a box would be a bare line.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from shard_tools.pages import NARROWEST
from shard_tools.report.axes_png import COMMAS, round_ticks, whole
from shard_tools.report.statistics import Box, histogram
from shard_tools.report.style import COLOURS, PROPERTY_AXES, split_style
from shard_tools.report.survey import Survey


def spread(survey: Survey) -> Figure:
    """Photos per class and, if photos were looked at, their properties."""
    splits = {name: values[values > 0] for name, values in survey.counts.splits.items()}
    splits = {name: values for name, values in splits.items() if len(values)}
    panels = [("Photos per class", "photos per class", True, splits)]
    for name, values in survey.properties.items():
        title, unit, factor, log = PROPERTY_AXES[name]
        panels.append((title, unit, log, {"": values * factor}))
    boxed = [not any(Box.of(v).degenerate for v in sets.values()) for *_, sets in panels]
    heights = [
        0.9 + 0.55 * len(sets) if box else 2.2
        for (*_, sets), box in zip(panels, boxed, strict=True)
    ]
    figure = Figure(figsize=(8, sum(heights) + 0.3), layout="constrained")
    grid = figure.subplots(len(panels), 1, squeeze=False, height_ratios=heights)
    for axes, (title, unit, log, sets), box in zip(grid[:, 0], panels, boxed, strict=True):
        what = "classes" if sets is splits else "photos"
        (_box_panel if box else _bar_panel)(axes, sets, log, what)
        axes.set(title=title, xlabel=unit)
    return figure


def _bar_panel(axes: Axes, sets: Mapping[str, np.ndarray], log: bool, what: str) -> None:
    """Histograms, side by side: of few distinct values a bar for each."""
    joined = np.round(np.concatenate(list(sets.values())), 3)
    bins = histogram(joined, log and joined.min() > 0)
    single = bins[0].low == bins[0].high
    edges = [bins[0].low, *(bin_.high for bin_ in bins)]
    for row, (name, values) in enumerate(sets.items()):
        colour, pattern = split_style(name)
        if single:
            numbers = [int((np.round(values, 3) == bin_.low).sum()) for bin_ in bins]
        else:
            numbers = np.histogram(np.round(values, 3), edges)[0].tolist()
        width = min(0.8, 0.16 * len(bins)) / len(sets)
        place = np.arange(len(bins)) + (row - (len(sets) - 1) / 2) * width
        look: dict[str, Any] = {
            "color": COLOURS[colour],
            "hatch": 2 * pattern,
            "edgecolor": "white",
        }
        axes.bar(place, numbers, 0.95 * width, label=name, linewidth=0, **look)
    every = range(0, len(bins), 1 if single else 4)
    axes.set_xticks(every, [f"{bins[place].low:,.4g}" for place in every])
    if len(bins) < 4:
        axes.set_xlim(-1.5, len(bins) + 0.5)
    axes.set_ylabel(what)
    whole(axes.yaxis)
    axes.grid(axis="y")
    if len(sets) > 1:
        axes.legend(frameon=False)


def _box_panel(axes: Axes, sets: Mapping[str, np.ndarray], log: bool, what: str) -> None:
    """Box plots in rows, of ``what``."""
    boxes = {name: Box.of(values) for name, values in sets.items()}
    for place, (name, box) in enumerate(reversed(boxes.items())):
        colour = COLOURS[split_style(name)[0]]
        numbers = {
            "label": name,
            "whislo": box.low,
            "q1": box.q1,
            "med": box.median,
            "q3": box.q3,
            "whishi": box.high,
            "fliers": [box.min, box.max],
        }
        line = {"color": colour, "linewidth": 1.8}
        axes.bxp(
            [numbers],
            positions=[place],
            orientation="horizontal",
            widths=0.5,
            patch_artist=True,
            boxprops={"facecolor": f"{colour}2e", "edgecolor": colour, "linewidth": 1.8},
            medianprops=line,
            whiskerprops=line,
            capprops=line,
            flierprops={"markeredgecolor": colour, "marker": "o", "markersize": 5},
            manage_ticks=False,
        )
    axes.set_yticks(range(len(boxes)), list(reversed(boxes)))
    axes.tick_params(axis="y", length=0)
    axes.set_ylim(-0.6, len(boxes) - 0.4)
    least, most = min(b.min for b in boxes.values()), max(b.max for b in boxes.values())
    if log and most >= NARROWEST * least:
        axes.set_xscale("log")
        round_ticks(axes.xaxis, least, most)
    else:
        axes.xaxis.set_major_formatter(COMMAS)
    if what == "classes" and axes.get_xscale() == "linear":
        whole(axes.xaxis)
    axes.grid(axis="x")
