"""How class sizes and properties of photos spread, for plotly.js.

Box plots where quartiles say something; histograms where a box would be a bare line.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from shard_tools.pages import (
    NARROWEST,
    Chart,
    counted,
    figure,
    hatched,
    log_ticks,
    whole_ticks,
)
from shard_tools.report.statistics import MOST_BARS, Box, histogram, size_bands
from shard_tools.report.style import PROPERTY_AXES, scaled, split_style


def class_sizes(splits: dict[str, np.ndarray]) -> Chart:
    """Photos per class, split by split, of the classes that have any."""
    some = {name: values[values > 0] for name, values in splits.items() if values.any()}
    boxes = {name: Box.of(values) for name, values in some.items()}
    if any(box.degenerate for box in boxes.values()):
        return _sizes_counted(some)
    traces = [
        trace
        for name, box in reversed(boxes.items())
        for trace in _box({"all": "all classes"}.get(name, name), box, split_style(name)[0])
    ]
    chart = _boxes(traces, "photos per class", len(boxes))
    ends = min(box.min for box in boxes.values()), max(box.max for box in boxes.values())
    chart["layout"]["xaxis"] |= counted(*ends)
    return chart


def _sizes_counted(splits: dict[str, np.ndarray]) -> Chart:
    """Number of classes of each size, or by bands of doubling size where sizes are many."""
    sizes = np.unique(np.concatenate(list(splits.values())))
    single = len(sizes) <= MOST_BARS
    columns = sizes.tolist() if single else [band.low for band in size_bands(sizes)]
    labels = [f"{size:,}" for size in columns] if single else [b.label for b in size_bands(sizes)]
    traces: list[dict[str, Any]] = []
    most = 0
    for name, values in splits.items():
        low = values if single else 1 << (np.frexp(values.astype(np.float64))[1] - 1)
        numbers = [int((low == column).sum()) for column in columns]
        most = max(most, *numbers)
        colour, shape = split_style(name)
        traces.append(
            {
                "type": "bar",
                "name": {"all": "all classes"}.get(name, name),
                "x": labels,
                "y": numbers,
                "marker": {"color": f"@{colour}", "pattern": hatched(shape)},
                "hovertemplate": f"{name}: %{{y:,}} classes of %{{x}} photos<extra></extra>",
            }
        )
    chart = figure(traces, "photos per class", "classes", 280)
    chart["layout"] |= {"barmode": "group", "bargap": 0.25}
    chart["layout"]["xaxis"] |= {"type": "category"}
    chart["layout"]["yaxis"] |= whole_ticks(most)
    return chart


def photo_property(name: str, values: np.ndarray) -> Chart:
    """A property of the photos, by its name in ``PROPERTY_AXES``: a box plot or a histogram.

    Args:
        name: of the property.
        values: of every photo looked at. Shape (photos,).
    """
    title, unit, factor, log = PROPERTY_AXES[name]
    box = scaled(Box.of(values), factor)
    if box.degenerate:
        return _property_counted(values * factor, unit)
    chart = _boxes(_box(title, box, "blue"), unit, 1)
    if log and box.max >= NARROWEST * box.min:
        chart["layout"]["xaxis"] |= log_ticks(box.min, box.max)
    chart["layout"]["yaxis"] |= {"showticklabels": False}  # the heading above says it
    return chart


def _property_counted(values: np.ndarray, unit: str) -> Chart:
    bins = histogram(np.round(values, 3))
    numbers = [bin_.number for bin_ in bins]
    trace: dict[str, Any] = {
        "type": "bar",
        "y": numbers,
        "marker": {"color": "@blue"},
        "hovertemplate": f"%{{x}} {unit}<br>%{{y:,}} photos<extra></extra>",
    }
    if bins[0].low == bins[0].high:
        trace["x"] = [f"{bin_.low:,.6g}" for bin_ in bins]
        trace["width"] = min(0.8, 0.16 * len(bins))
        axis = {"type": "category"}
    else:
        trace["x"] = [(bin_.low + bin_.high) / 2 for bin_ in bins]
        trace["width"] = [0.92 * (bin_.high - bin_.low) for bin_ in bins]
        trace["customdata"] = [[bin_.low, bin_.high] for bin_ in bins]
        between = "%{customdata[0]:,.4~g} to %{customdata[1]:,.4~g}"
        trace["hovertemplate"] = f"{between} {unit}<br>%{{y:,}} photos<extra></extra>"
        axis = {}
    chart = figure([trace], unit, "photos", 220)
    chart["layout"]["xaxis"] |= axis
    chart["layout"]["yaxis"] |= whole_ticks(max(numbers)) | {"nticks": 5}
    return chart


def _box(name: str, box: Box, colour: str) -> list[dict[str, Any]]:
    """A box from its five numbers, with dots for the smallest and the largest value."""
    whole = {
        "type": "box",
        "name": name,
        "y": [name],
        "orientation": "h",
        "q1": [box.q1],
        "median": [box.median],
        "q3": [box.q3],
        "lowerfence": [box.low],
        "upperfence": [box.high],
        "marker": {"color": f"@{colour}"},
        "line": {"width": 2},
        "fillcolor": f"@{colour}-soft",
        "width": 0.5,
        "hoverinfo": "skip",
    }
    parts = [("smallest", box.min), ("1%", box.low), ("median", box.median)]
    parts += [("99%", box.high), ("largest", box.max)]
    dots = {
        "type": "scatter",
        "name": name,
        "x": [value for _, value in parts],
        "y": [name] * len(parts),
        "mode": "markers",
        "marker": {"color": f"@{colour}", "size": [7, 1, 1, 1, 7], "symbol": "circle-open"},
        "customdata": [part for part, _ in parts],
        "hovertemplate": f"{name}: %{{customdata}} %{{x:,.4~g}}<extra></extra>",
    }
    return [whole, dots]


def _boxes(traces: list[dict[str, Any]], axis: str, rows: int) -> Chart:
    chart = figure(traces, axis, "", 84 + 58 * rows)
    chart["layout"] |= {"showlegend": False}
    chart["layout"]["xaxis"] |= {"showgrid": True, "rangemode": "tozero"}
    chart["layout"]["yaxis"] |= {"type": "category", "showgrid": False, "ticks": ""}
    return chart
