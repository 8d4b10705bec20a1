"""The charts of the report page, for plotly.js: functions of statistics, with few points each.

Titles are in the page's template. Colour-blind readers can tell the colours apart, and no meaning
rests on colour alone.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from shard_tools.pages import (
    Chart,
    counted,
    figure,
    hatched,
    plain,
    whole_ticks,
)
from shard_tools.report.boxes_html import class_sizes, photo_property
from shard_tools.report.class_counts import ClassCounts
from shard_tools.report.statistics import (
    SMALL_CLASS,
    Imbalance,
    concentration,
    frequency_curve,
    largest,
    size_bands,
)
from shard_tools.report.style import FEW_CLASSES, split_style
from shard_tools.report.survey import Survey


def charts(survey: Survey, figures: Imbalance) -> dict[str, Chart]:
    """All charts that a survey has data for, by their ids in the page."""
    total = survey.counts.total
    few = figures.classes <= FEW_CLASSES
    drawn = {"frequency": classes_by_name(survey.counts) if few else frequency(total, figures)}
    if not few:
        drawn["histogram"] = by_size(total)
        drawn["concentration"] = share_held(total, figures)
    drawn["class-sizes"] = class_sizes(survey.counts.splits)
    drawn |= {name: photo_property(name, values) for name, values in survey.properties.items()}
    return drawn


def classes_by_name(counts: ClassCounts) -> Chart:
    """A bar for each class, with its name, split by split; the page puts the names on the axis."""
    labels = largest(counts.total, FEW_CLASSES)
    total = counts.total[labels].tolist()
    names = [counts.title(label) for label in labels.tolist()]
    rows = list(range(len(labels)))
    traces: list[dict[str, Any]] = []
    for split, photos in counts.splits.items():
        colour, pattern = split_style(split)
        of_split = f" for {split}" if len(counts.splits) > 1 else ""
        traces.append(
            {
                "type": "bar",
                "orientation": "h",
                "name": split,
                "x": photos[labels].tolist(),
                "y": rows,
                "text": [plain(name) for name in names],
                "textposition": "none",
                "marker": {"color": f"@{colour}", "pattern": hatched(pattern)},
                "hovertemplate": f"%{{text}}<br>%{{x:,}} photos{of_split}<extra></extra>",
            }
        )
    numbers = {
        "type": "scatter",
        "mode": "text",
        "x": total,
        "y": rows,
        "text": [f" {number:,}" for number in total],
        "textposition": "middle right",
        "textfont": {"size": 12, "color": "@muted"},
        "cliponaxis": False,
        "hoverinfo": "skip",
        "showlegend": False,
    }
    chart = figure([*traces, numbers], "photos", "", 76 + 26 * max(len(rows), 3))
    layout = chart["layout"]
    layout |= {"barmode": "stack", "bargap": 0.3, "showlegend": len(traces) > 1}
    layout["legend"] |= {"traceorder": "normal"}  # as the bars are stacked
    most = max(total)
    layout["xaxis"] |= whole_ticks(most) | {"showgrid": True, "range": [0, 1.08 * most]}
    layout["yaxis"] |= {
        **{"showgrid": False, "ticks": "", "fixedrange": True},
        **{"range": [len(rows) - 0.4, -0.6], "tickvals": rows},
    }
    return chart | {"names": names}


def frequency(counts: np.ndarray, figures: Imbalance) -> Chart:
    """Photos per class in descending order: an exact staircase."""
    ranks, photos = frequency_curve(counts)
    line = {
        "type": "scatter",
        "x": [*ranks.tolist(), int(ranks[-1]) + 1],  # the last class is one step wide, too
        "y": [*photos.tolist(), int(photos[-1])],
        "mode": "lines",
        "line": {"shape": "hv", "color": "@blue", "width": 2.5},
        "hovertemplate": "class %{x:,}<br>%{y:,} photos<extra></extra>",
    }
    chart = figure([line], "classes, largest first", "photos per class")
    layout = chart["layout"]
    layout["yaxis"] |= counted(figures.min, figures.max)
    log = layout["yaxis"].get("type") == "log"
    levels = ((figures.median, f"median {figures.median:g}"), (SMALL_CLASS, f"{SMALL_CLASS}"))
    shown = [(level, name) for level, name in levels if figures.min < level < figures.max]
    layout["shapes"] = [
        {
            **{"type": "line", "x0": 0, "x1": 1, "xref": "paper", "y0": level, "y1": level},
            "line": {"dash": "dot", "width": 1, "color": "@muted"},
        }
        for level, _ in shown
    ]
    layout["annotations"] = [
        {
            **{"x": 1, "xref": "paper", "xanchor": "right"},
            **{"y": math.log10(level) if log else level, "yanchor": "bottom"},
            **{"text": name, "showarrow": False, "font": {"color": "@muted", "size": 12}},
        }
        for level, name in shown
    ]
    return chart


def by_size(counts: np.ndarray) -> Chart:
    """Share of classes and of photos, by class size."""
    bands = size_bands(counts)
    classes, photos = sum(band.classes for band in bands), sum(band.photos for band in bands)
    bars = [
        {
            "type": "bar",
            "name": name,
            "x": [band.label for band in bands],
            "y": [100 * part / whole for part in parts],
            "customdata": parts,
            "marker": {"color": colour, "pattern": hatched(shape)},
            "hovertemplate": f"%{{x}} photos per class<br>%{{customdata:,}} {name.split()[-1]}, "
            "%{y:.2f}%<extra></extra>",
        }
        for name, parts, whole, colour, shape in (
            ("of the classes", [band.classes for band in bands], classes, "@blue", ""),
            ("of the photos", [band.photos for band in bands], photos, "@orange", "/"),
        )
    ]
    chart = figure(bars, "photos per class", "share, %")
    chart["layout"] |= {"barmode": "group", "bargap": 0.25, "bargroupgap": 0.05}
    chart["layout"]["xaxis"] |= {"type": "category", "tickangle": -40}
    return chart


def share_held(counts: np.ndarray, figures: Imbalance) -> Chart:
    """Share of all photos that the largest classes hold."""
    classes, photos = concentration(counts)
    curve = {
        "type": "scatter",
        "name": "photos held",
        "x": (100 * classes).tolist(),
        "y": (100 * photos).tolist(),
        "mode": "lines",
        "line": {"color": "@blue", "width": 2.5},
        "hovertemplate": "largest %{x:.2f}% of classes<br>%{y:.1f}% of photos<extra></extra>",
    }
    even = {
        "type": "scatter",
        "name": "if all classes were equal",
        "x": [0, 100],
        "y": [0, 100],
        "mode": "lines",
        "line": {"color": "@muted", "width": 1.5, "dash": "dash"},
        "hoverinfo": "skip",
    }
    chart = figure([curve, even], "largest classes, % of all", "photos held, %")
    chart["layout"]["annotations"] = [
        {
            **{"x": 100 * figures.half / figures.classes, "y": 50},
            "text": f"half: {figures.half:,} classes",
            **{"showarrow": True, "arrowcolor": "@muted", "arrowwidth": 1, "arrowhead": 0},
            **{"ax": 44, "ay": 44, "bgcolor": "@card", "xanchor": "left"},
            "font": {"size": 12, "color": "@ink"},
        }
    ]
    chart["layout"]["xaxis"] |= {"range": [0, 100]}
    chart["layout"]["yaxis"] |= {"range": [0, 102]}
    return chart
