"""Figures as plotly.js takes them, in the page's style: plain dictionaries.

A colour such as ``@blue`` is a variable of the page's style sheet, so that charts follow the light
and the dark theme; the page's script puts the colours in.
"""

from __future__ import annotations

from typing import Any

Chart = dict[str, Any]


def figure(
    traces: list[dict[str, Any]], x: str, y: str, height: int = 360, zoom: bool = True
) -> Chart:
    """A chart of these traces with titled axes, with a legend if there are several.

    Args:
        traces: as plotly.js has them.
        x: title of the horizontal axis.
        y: title of the vertical axis.
        height: in CSS pixels.
        zoom: whether the mouse may zoom in.
    """
    axis = {
        "tickfont": {"size": 12},
        "tickformat": ",",
        "gridcolor": "@line",
        "linecolor": "@line",
        "zeroline": False,
        "automargin": True,
    }

    def titled(text: str) -> dict[str, Any]:
        return {"title": {"text": text, "font": {"size": 13, "color": "@muted"}, "standoff": 8}}

    layout = {
        "font": {"family": "@font", "size": 13, "color": "@ink"},
        "paper_bgcolor": "rgba(0,0,0,0)",
        "plot_bgcolor": "rgba(0,0,0,0)",
        "height": height,
        "margin": {"l": 12, "r": 12, "t": 30 if len(traces) > 1 else 10, "b": 12},
        "legend": {"orientation": "h", "x": 0, "y": 1.02, "yanchor": "bottom"},
        "showlegend": len(traces) > 1,
        "hoverlabel": {
            "bgcolor": "@card",
            "bordercolor": "@muted",
            "font": {"color": "@ink", "family": "@font"},
        },
        "xaxis": axis | titled(x) | {"showgrid": False, "showline": True},
        "yaxis": axis | titled(y),
    }
    if not zoom:
        layout["dragmode"] = False
        for name in ("xaxis", "yaxis"):
            layout[name]["fixedrange"] = True
    return {"data": traces, "layout": layout}


def hatched(shape: str) -> dict[str, Any]:
    """Lines over a bar, so that it can be told apart without its colour."""
    look = {"fillmode": "overlay", "fgcolor": "@card", "size": 6, "solidity": 0.25}
    return {"shape": shape} | look


def plain(name: str) -> str:
    """A text as plotly shows it: it would take ``<b>`` for bold, and warn of ``$x$``."""
    return name.replace("&", "&amp;").replace("<", "&lt;").replace("$", "&#36;")
