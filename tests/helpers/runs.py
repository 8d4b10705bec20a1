"""Looking at what a run leaves."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from glr_fast.logbook import METRICS


def read_metrics(run: Path) -> list[dict[str, Any]]:
    """The lines of a run's ``metrics.jsonl``, oldest first."""
    file = run / METRICS
    return [json.loads(line) for line in file.read_text().splitlines()] if file.is_file() else []
