"""The charts of a report, as plotly.js takes them: plain dictionaries.

A colour such as ``@blue`` is a variable of the page's style sheet, so that charts follow the light
and the dark theme. No meaning rests on colour alone.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from glr_fast.report.curves import Curves
from glr_fast.report.results import Results
from shard_tools.pages import Chart, figure, plain, round_numbers

MOST_POINTS = 600
"""Of a curve: more cannot be seen."""
MOST_DOTS = 400
"""Classes that are drawn one by one."""


def charts(results: Results, curves: Curves) -> dict[str, Chart]:
    """All charts that there is something to draw for, by their ids in the page."""
    drawn = {
        "loss": _lines(curves, {"train/loss": "training", "val/loss": "validation"}, "loss"),
        "accuracy": _lines(
            curves,
            {
                "train/accuracy": "training",
                "val/accuracy": "validation",
                "val/macro_f1": "validation, macro F1",
            },
            "share",
        ),
        "rate": _lines(curves, {"train/lr": "learning rate"}, "learning rate", ".1~e"),
        "confusion": _confusion(results),
        "frequency": _frequency(results),
        "calibration": _calibration(results.figures.get("reliability", [])),
    }
    return {name: chart for name, chart in drawn.items() if chart}


def _lines(curves: Curves, names: Mapping[str, str], y: str, number: str = "") -> Chart | None:
    styles = (("@blue", "lines", "solid"), ("@orange", "lines+markers", "solid"))
    styles += (("@green", "lines+markers", "dash"),)
    traces = []
    for (key, name), (colour, mode, dash) in zip(names.items(), styles, strict=False):
        points = _thinned(curves.get(key, []))
        if points:
            traces.append(
                {
                    "type": "scatter",
                    "name": name,
                    "x": [step for step, _ in points],
                    "y": [round(value, 6) for _, value in points],
                    "mode": "markers" if len(points) == 1 else mode,
                    "line": {"color": colour, "dash": dash, "width": 2},
                    "marker": {"color": colour, "size": 6},
                    "hovertemplate": f"step %{{x:,}}<br>{name} %{{y:.4~g}}<extra></extra>",
                }
            )
    if not traces:
        return None
    chart = figure(traces, "step", y, 280, zoom=False)
    chart["layout"]["yaxis"]["tickformat"] = number
    return chart


def _thinned(points: Sequence[tuple[int, float]]) -> Sequence[tuple[int, float]]:
    """At most some points of a curve, always the last one: means of neighbours."""
    size = -(-len(points) // MOST_POINTS)
    if size <= 1:
        return points
    groups = [points[i : i + size] for i in range(0, len(points), size)]
    return [(group[-1][0], sum(v for _, v in group) / len(group)) for group in groups]


def _confusion(results: Results) -> Chart | None:
    labels, names, counts = results.confusion
    if not labels:
        return None
    share = counts / np.maximum(counts.sum(axis=1, keepdims=True), 1)
    trace: dict[str, Any] = {
        "type": "heatmap",
        "z": [[round(float(v), 4) if v else None for v in row] for row in share],
        "zmin": 0,
        "zmax": 1,
        "colorscale": [[0, "@heat0"], [0.5, "@heat1"], [1, "@heat2"]],
        "showscale": False,
        "xgap": 1,
        "ygap": 1,
        "hoverongaps": False,
        "hovertemplate": "true: %{customdata[1]}<br>predicted: %{customdata[2]}<br>"
        "%{customdata[0]} photos, %{z:.0%} of the true class<extra></extra>",
    }
    if len(labels) <= 20:
        trace["text"] = [[str(v) if v else "" for v in row] for row in counts.tolist()]
        trace["texttemplate"] = "%{text}"
    chart = figure([trace], "predicted", "true", 150 + max(220, 24 * len(labels)), zoom=False)
    axes = {
        "showgrid": False,
        "ticks": "",
        "showline": False,
        "tickmode": "array",
        "tickvals": list(range(len(labels))),
    }
    chart["layout"]["xaxis"] |= axes | {"tickangle": -50}
    chart["layout"]["yaxis"] |= axes | {"autorange": "reversed"}
    # The page puts the names on the axes, as long as there is room, and all into the hover texts.
    return chart | {"names": names, "counts": counts.tolist()}


def _frequency(results: Results) -> Chart | None:
    """Recall against training photos: bands of doubling size, and each class where they are few."""
    classes = results.classes
    if classes.empty:
        return None
    train, photos = classes["train"].to_numpy(), classes["photos"].to_numpy()
    right = classes["recall"].to_numpy() * photos
    band = np.floor(np.log2(np.maximum(train, 1))).astype(int)
    traces: list[dict[str, Any]] = []
    if len(classes) <= MOST_DOTS:
        traces.append(
            {
                "type": "scatter",
                "name": "a class",
                "mode": "markers",
                "x": np.maximum(train, 1).tolist(),
                "y": [round(float(v), 4) for v in classes["recall"]],
                "text": [plain(name) for name in classes["name"]],
                "customdata": photos.tolist(),
                "marker": {"color": "@orange", "size": 8, "opacity": 0.75, "symbol": "diamond"},
                "hovertemplate": "%{text}<br>%{x:,} training photos<br>%{y:.0%} of %{customdata} "
                "photos right<extra></extra>",
            }
        )
    bands = [b for b in range(int(band.max()) + 1) if photos[band == b].sum()]
    traces.append(
        {
            "type": "scatter",
            "name": "all classes of that size",
            "mode": "lines+markers",
            "x": [round(float(train[band == b].clip(1).mean()), 1) for b in bands],
            "y": [float(right[band == b].sum() / photos[band == b].sum()) for b in bands],
            "customdata": [
                [2**b, 2 ** (b + 1) - 1, int((band == b).sum()), int(photos[band == b].sum())]
                for b in bands
            ],
            "line": {"color": "@blue", "width": 2.5},
            "marker": {"color": "@blue", "size": 8},
            "hovertemplate": "%{customdata[0]:,} to %{customdata[1]:,} training photos<br>"
            "%{customdata[2]:,} classes, %{customdata[3]:,} photos<br>%{y:.1%} right"
            "<extra></extra>",
        }
    )
    chart = figure(traces, "training photos of the class", "right", 340, zoom=False)
    ticks = _ticks(int(train.min()), int(train.max()))
    texts = [f"{tick:,}" for tick in ticks]
    chart["layout"]["xaxis"] |= {"type": "log", "tickvals": ticks, "ticktext": texts}
    chart["layout"]["yaxis"] |= {"tickformat": ".0%", "range": [-0.04, 1.04]}
    return chart


def _ticks(least: int, most: int) -> list[int]:
    """Ticks of a logarithmic axis: round numbers, or the ends where hardly one is in view."""
    near = round_numbers(least, most)
    in_view = {tick for tick in near if least <= tick <= most}
    return near if len(in_view) > 1 else sorted(in_view | {least, most})


def _calibration(bars: Sequence[Mapping[str, float]]) -> Chart | None:
    if not bars:
        return None
    middle = [(bar["from"] + bar["to"]) / 2 for bar in bars]
    accuracy = {
        "type": "bar",
        "name": "right",
        "x": middle,
        "y": [bar["accuracy"] for bar in bars],
        "width": [bar["to"] - bar["from"] for bar in bars],
        "customdata": [[bar["photos"], bar["confidence"], bar["from"], bar["to"]] for bar in bars],
        "marker": {"color": "@blue", "line": {"color": "@card", "width": 1}},
        "hovertemplate": "probability %{customdata[2]:.0%} to %{customdata[3]:.0%}<br>"
        "%{customdata[0]:,} photos, mean %{customdata[1]:.1%}<br>%{y:.1%} right<extra></extra>",
    }
    perfect = {
        "type": "scatter",
        "name": "if probabilities were right",
        "mode": "lines",
        "x": [0, 1],
        "y": [0, 1],
        "line": {"color": "@orange", "dash": "dash", "width": 2},
        "hoverinfo": "skip",
    }
    chart = figure([accuracy, perfect], "probability of the answer", "right", 340, zoom=False)
    for axis in ("xaxis", "yaxis"):
        chart["layout"][axis] |= {"tickformat": ".0%", "range": [0, 1.02]}
    return chart
