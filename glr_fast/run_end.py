"""The end of a run: its learning curves as a picture, and what became of it."""

from __future__ import annotations

import sys
from collections.abc import Mapping
from typing import Any

from glr_fast.checkpoint import best_note
from glr_fast.config import Config

CURVES = "learning_curves.png"


def leave_curves(config: Config) -> None:
    """Draw ``learning_curves.png`` into the run folder; a run is worth having without it."""
    try:
        from glr_fast.report import draw_learning_curves, learning_curves  # matplotlib takes 1 s

        curves = learning_curves(config.out)
        if curves:
            title = f"{config.out}: {config.model.name}"
            draw_learning_curves(curves, config.out / CURVES, title)
    except (ImportError, OSError) as error:
        print(f"warning: no {config.out / CURVES} ({error})", file=sys.stderr, flush=True)


def summary_of(
    config: Config, step: int, seconds: float, best: Mapping[str, float] | None
) -> dict[str, Any]:
    """What became of a run, for its last lines and for scripts.

    Args:
        config: of the run.
        step: global batches seen.
        seconds: wall time of this process.
        best: the best validation's figures, by name; None where nothing was evaluated.

    Returns:
        ``run``, ``step``, ``seconds``, ``monitor``, and its ``best`` value with ``best_step``;
        these two are None where nothing was evaluated.
    """
    return {
        "run": str(config.out),
        "step": step,
        "seconds": round(seconds, 1),
        "monitor": config.run.monitor,
        "best": best[config.run.monitor] if best else None,
        "best_step": int(best_note(config.out)["step"]) if best else None,
    }
