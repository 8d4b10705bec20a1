"""What the pages with charts have in common: style sheet, scripts, figures, ticks, escaping.

``environment`` is not imported here: it needs Jinja2 and plotly (extra ``eda``), which PNG files,
drawn with the same ticks, do without.
"""

from shard_tools.pages.figures import Chart, figure, hatched, plain
from shard_tools.pages.ticks import NARROWEST, counted, log_ticks, round_numbers, whole_ticks

__all__ = [
    "NARROWEST",
    "Chart",
    "counted",
    "figure",
    "hatched",
    "log_ticks",
    "plain",
    "round_numbers",
    "whole_ticks",
]
