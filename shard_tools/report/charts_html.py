"""The charts of the report page (plotly): functions of statistics, with few points each.

Titles are in the page's template. Colour-blind readers can tell the colours apart, and no meaning
rests on colour alone. Only the ``eda`` command imports this module: plotly is in the extra ``eda``.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import plotly.graph_objects as go

from shard_tools.report.statistics import (
    SMALL_CLASS,
    Box,
    Imbalance,
    concentration,
    frequency_curve,
    size_bands,
)
from shard_tools.report.style import (
    BLUE,
    FONT,
    GRID,
    INK,
    MUTED,
    ORANGE,
    PROPERTY_AXES,
    SPLIT_COLOURS,
    scaled,
)
from shard_tools.report.survey import Survey


def charts(survey: Survey, figures: Imbalance) -> dict[str, go.Figure]:
    """All charts that a survey has data for, by their ids in the page."""
    total = survey.counts.total
    drawn = {
        "frequency": frequency(total, figures),
        "histogram": histogram(total),
        "concentration": share_held(total, figures),
        "class-sizes": class_sizes(survey.counts.splits),
    }
    boxes = {name: Box.of(values) for name, values in survey.properties.items()}
    if boxes:
        sides = {name: boxes[name] for name in ("width", "height")}
        drawn["sides"] = properties(sides)
        drawn["aspect"] = properties({"aspect": boxes["aspect"]})
        drawn["bytes"] = properties({"bytes": boxes["bytes"]})
    return drawn


def frequency(counts: np.ndarray, figures: Imbalance) -> go.Figure:
    """Photos per class in descending order: an exact staircase on a logarithmic axis."""
    ranks, photos = frequency_curve(counts)
    line = go.Scatter(
        x=[*ranks.tolist(), int(ranks[-1]) + 1],  # the last class is one step wide, too
        y=[*photos.tolist(), int(photos[-1])],
        mode="lines",
        line={"shape": "hv", "color": BLUE, "width": 2.5},
        hovertemplate="class %{x:,}<br>%{y:,} photos<extra></extra>",
    )
    figure = _figure([line], "classes, largest first", "photos per class", figures.ratio)
    for level, name in ((figures.median, f"median {figures.median:g}"), (SMALL_CLASS, "100")):
        if figures.min < level < figures.max:
            line = {"dash": "dot", "width": 1, "color": MUTED}
            figure.add_shape(x0=0, x1=1, xref="paper", y0=level, y1=level, line=line)
            figure.add_annotation(
                **{"x": 1, "xref": "paper", "xanchor": "right"},
                **{"y": float(np.log10(level)), "yanchor": "bottom"},  # here the exponent
                text=name,
                showarrow=False,
                font={"color": MUTED, "size": 12},
            )
    scales = [("Even ranks", "linear"), ("Log ranks", "log")]
    buttons = [
        {"label": label, "method": "relayout", "args": [{"xaxis.type": kind}]}
        for label, kind in scales
    ]
    figure.update_layout(
        updatemenus=[
            {
                "type": "buttons",
                "direction": "right",
                "buttons": buttons,
                **{"x": 1, "y": 1.02, "xanchor": "right", "yanchor": "bottom"},
                "bgcolor": "white",
                "bordercolor": "#c5ccd6",
                "font": {"size": 12},
                "pad": {"t": 0, "b": 4, "r": 0},
            }
        ],
        margin={"t": 44},
    )
    return figure


def histogram(counts: np.ndarray) -> go.Figure:
    """Share of classes and of photos, by class size."""
    bands = size_bands(counts)
    classes, photos = sum(band.classes for band in bands), sum(band.photos for band in bands)
    bars = [
        go.Bar(
            name=name,
            x=[band.label for band in bands],
            y=[100 * part / whole for part in parts],
            customdata=parts,
            marker={"color": colour, "pattern": _hatched(shape)},
            hovertemplate=f"%{{x}} photos per class<br>%{{customdata:,}} {name.split()[-1]}, "
            "%{y:.2f}%<extra></extra>",
        )
        for name, parts, whole, colour, shape in (
            ("of the classes", [band.classes for band in bands], classes, BLUE, ""),
            ("of the photos", [band.photos for band in bands], photos, ORANGE, "/"),
        )
    ]
    figure = _figure(bars, "photos per class", "share, %")
    figure.update_layout(barmode="group", bargap=0.25, bargroupgap=0.05)
    figure.update_xaxes(type="category", tickangle=-40)
    return figure


def _hatched(shape: str) -> dict[str, Any]:
    """White lines over a bar, so that it can be told apart without its colour."""
    return {
        "shape": shape,
        "fillmode": "overlay",
        "fgcolor": "white",
        "size": 6,
        "solidity": 0.25,
    }


def share_held(counts: np.ndarray, figures: Imbalance) -> go.Figure:
    """Share of all photos that the largest classes hold."""
    classes, photos = concentration(counts)
    curve = go.Scatter(
        name="photos held",
        x=(100 * classes).tolist(),
        y=(100 * photos).tolist(),
        mode="lines",
        line={"color": BLUE, "width": 2.5},
        hovertemplate="largest %{x:.2f}% of classes<br>%{y:.1f}% of photos<extra></extra>",
    )
    even = go.Scatter(
        name="if all classes were equal",
        x=[0, 100],
        y=[0, 100],
        mode="lines",
        line={"color": MUTED, "width": 1.5, "dash": "dash"},
        hoverinfo="skip",
    )
    figure = _figure([curve, even], "largest classes, % of all", "photos held, %")
    figure.add_annotation(
        x=100 * figures.half / figures.classes,
        y=50,
        text=f"half: {figures.half:,} classes",
        showarrow=True,
        arrowcolor=MUTED,
        arrowwidth=1,
        arrowhead=0,
        ax=44,
        ay=44,
        bgcolor="white",
        xanchor="left",
        font={"size": 12, "color": INK},
    )
    figure.update_xaxes(range=[0, 100])
    figure.update_yaxes(range=[0, 102])
    return figure


def class_sizes(splits: dict[str, np.ndarray]) -> go.Figure:
    """Box plots of photos per class, one for each split."""
    boxes = {name: Box.of(values[values > 0]) for name, values in splits.items() if values.any()}
    names = {"all": "all classes"}
    traces = [
        trace
        for name, box in reversed(boxes.items())
        for trace in _box(names.get(name, name), box, SPLIT_COLOURS.get(name, BLUE), ",.4~g")
    ]
    spans = max(box.max for box in boxes.values()) / min(box.min for box in boxes.values())
    return _boxes(traces, "photos per class", spans, rows=len(boxes))


def properties(boxes: dict[str, Box]) -> go.Figure:
    """Box plots of photo properties that share an axis."""
    traces: list[Any] = []
    for name, box in reversed(boxes.items()):
        title, _, factor, _ = PROPERTY_AXES[name]
        traces += _box(title, scaled(box, factor), BLUE, ",.4~g")
    _, unit, _, log = PROPERTY_AXES[next(iter(boxes))]
    box = next(iter(boxes.values()))
    return _boxes(traces, unit, box.max / max(box.min, 1) if log else 0, len(boxes))


def _box(name: str, box: Box, colour: str, number: str) -> list[Any]:
    """A box from its five numbers, with dots for the smallest and the largest value."""
    whole = go.Box(
        name=name,
        y=[name],
        orientation="h",
        q1=[box.q1],
        median=[box.median],
        q3=[box.q3],
        lowerfence=[box.low],
        upperfence=[box.high],
        marker={"color": colour},
        line={"width": 2},
        fillcolor=f"rgba{(*(int(colour[i : i + 2], 16) for i in (1, 3, 5)), 0.18)}",
        width=0.5,
        hoverinfo="skip",
    )
    parts = [("smallest", box.min), ("1%", box.low), ("median", box.median)]
    parts += [("99%", box.high), ("largest", box.max)]
    dots = go.Scatter(
        name=name,
        x=[value for _, value in parts],
        y=[name] * len(parts),
        mode="markers",
        marker={"color": colour, "size": [7, 1, 1, 1, 7], "symbol": "circle-open"},
        customdata=[part for part, _ in parts],
        hovertemplate=f"{name}: %{{customdata}} %{{x:{number}}}<extra></extra>",
    )
    return [whole, dots]


def _boxes(traces: list[Any], axis: str, log: float, rows: int) -> go.Figure:
    """Box plots in rows; ``log`` is the ratio that a logarithmic axis spans, 0 for a linear one."""
    figure = _figure(traces, axis, "")
    figure.update_layout(showlegend=False, height=96 + 58 * rows, margin={"t": 8})
    figure.update_xaxes(showgrid=True, rangemode="tozero")
    figure.update_yaxes(type="category", showgrid=False, ticks="")
    if log:
        figure.update_xaxes(type="log", dtick=_log_ticks(log), minor={"ticks": "outside"})
    return figure


def _log_ticks(ratio: float) -> int | str:
    """Ticks at powers of ten or, if there are few of those, at 1, 2, 5, 10 and so on."""
    return 1 if ratio > 300 else "D2"


def _figure(traces: list[Any], x: str, y: str, log_y: float = 0) -> go.Figure:
    """A figure in the page's style; ``log_y`` is the ratio that a logarithmic axis spans."""
    figure = go.Figure(traces)
    axis = {
        "title": {"font": {"size": 13, "color": MUTED}, "standoff": 8},
        "tickfont": {"size": 12},
        "tickformat": ",",
        "gridcolor": GRID,
        "linecolor": "#c5ccd6",
        "zeroline": False,
        "automargin": True,
    }
    figure.update_layout(
        template="none",
        font={"family": FONT, "size": 13, "color": INK},
        paper_bgcolor="rgba(0,0,0,0)",
        plot_bgcolor="rgba(0,0,0,0)",
        height=360,
        margin={"l": 12, "r": 12, "t": 30, "b": 12},
        legend={"orientation": "h", "x": 0, "y": 1.02, "yanchor": "bottom"},
        showlegend=len(traces) > 1,
        hoverlabel={"font": {"family": FONT}},
        xaxis=axis | {"showgrid": False},
        yaxis=axis,
    )
    figure.update_xaxes(title_text=x, showline=True)
    figure.update_yaxes(title_text=y)
    if log_y:
        figure.update_yaxes(type="log", dtick=_log_ticks(log_y))
    return figure
