"""The learning curves of a run, from its ``metrics.jsonl``."""

from __future__ import annotations

import json
from collections import defaultdict
from pathlib import Path

from glr_fast.logbook import METRICS

Curves = dict[str, list[tuple[int, float]]]


def learning_curves(run: Path) -> Curves:
    """(step, value) of every figure that a run logged, by its name, such as ``val/accuracy``.

    Empty where there is no log, as beside an exported model. Lines that cannot be read (the last
    one of a run that was killed) are left out.
    """
    file = run / METRICS
    curves: Curves = defaultdict(list)
    for line in file.read_text(errors="replace").splitlines() if file.is_file() else []:
        try:
            figures = json.loads(line)
            step = int(figures.pop("step"))
        except (ValueError, KeyError, AttributeError, TypeError):
            continue
        for name, value in figures.items():
            if isinstance(value, int | float) and value == value:  # not nan
                curves[name].append((step, float(value)))
    return dict(curves)
