"""A comparison as text for a terminal: the table, and who was elected and why."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict
from typing import Any

from glr_fast.comparison.compare import Comparison, Rival
from glr_fast.comparison.evaluations import Evaluation

LEFT = 3
"""Columns of the table that are aligned to the left."""


def as_text(comparison: Comparison) -> str:
    """The table of all evaluations, and the election in words."""
    header = ("run", "model", "split", "photos", "accuracy", "of chance", "top-5", "macro F1")
    header += (f"95% of {comparison.by}", "images/s", "parameters")
    lines = [
        _line(rival, evaluation, comparison.by)
        for rival in comparison.rivals
        for evaluation in rival.evaluations
    ]
    parts = [_table([header, *lines])]
    parts.append(
        "of chance: accuracy times the number of classes with a photo in the split; guessing has 1"
    )
    if comparison.measured_on:
        parts.append(f"images/s: the model alone, without decoding, on {comparison.measured_on}")
    parts += _of_other_stores(comparison)
    return "\n".join([*parts, *_differences(comparison), _elected(comparison)])


def as_dict(comparison: Comparison) -> dict[str, Any]:
    """The outcome for a script, as JSON knows it.

    Returns:
        ``by``, ``elected``, ``best``, ``measured_on``, ``export`` and ``runs``: of each the figure
        that decided and how far it is ``behind`` the best (a share, with its 95% interval),
        ``images_per_second``, ``parameters``, and the figures of each evaluation by split.
    """
    return {
        "by": comparison.by,
        "elected": str(comparison.elected.run),
        "best": str(comparison.best.run),
        "measured_on": comparison.measured_on,
        "export": None if comparison.export is None else str(comparison.export),
        "runs": [
            {
                "run": str(rival.run),
                "figure": rival.figure,
                "behind": asdict(rival.behind) | {"tied": rival.behind.tied},
                "images_per_second": rival.cost.images_per_second,
                "parameters": rival.cost.parameters,
                "evaluations": {"+".join(e.splits): e.figures for e in rival.evaluations},
            }
            for rival in comparison.rivals
        ],
    }


def _of_other_stores(comparison: Comparison) -> list[str]:
    """Which figures are not of the store that the election is on."""
    all_of = [(rival, e) for rival in comparison.rivals for e in rival.evaluations]
    on = next((e.figures for _, e in all_of if list(e.splits) == ["val"]), {})
    return [
        f"{rival.run} on {'+'.join(e.splits)}: photos of {e.figures.get('store')}, not of "
        f"{on.get('store')}"
        for rival, e in all_of
        if on.get("store_digest") and e.figures.get("store_digest") != on["store_digest"]
    ]


def _line(rival: Rival, evaluation: Evaluation, by: str) -> tuple[str, ...]:
    figures, rate = evaluation.figures, rival.cost.images_per_second
    interval = (figures.get("intervals") or {}).get(by)
    return (
        str(rival.run),
        str(figures.get("model", "")),
        "+".join(evaluation.splits),
        str(figures["photos"]),
        _share(figures["accuracy"]),
        "-" if not figures["classes"] else f"{figures['accuracy'] * figures['classes']:.1f} x",
        _share(figures["top5_accuracy"]),
        "-" if figures["macro_f1"] is None else f"{figures['macro_f1']:.4f}",
        f"{interval[0]:.3f} to {interval[1]:.3f}" if interval else "-",
        "-" if rate is None else f"{rate:.0f}",
        f"{rival.cost.parameters / 1e6:.1f} M",
    )


def _share(value: Any) -> str:
    return "-" if value is None else f"{value:.2%}"


def _differences(comparison: Comparison) -> list[str]:
    best = comparison.best
    lines = []
    for rival in comparison.rivals:
        if rival is not best:
            behind = rival.behind
            said = "a tie" if behind.tied else "worse"
            lines.append(
                f"{rival.run}: {comparison.by} on val {rival.figure:.4f}, {behind.value:.4f} "
                f"behind {best.run} (95% interval of the difference: {behind.low:+.4f} to "
                f"{behind.high:+.4f}): {said}"
            )
    return lines


def _elected(comparison: Comparison) -> str:
    elected, best = comparison.elected, comparison.best
    text = f"elected by {comparison.by} on val: {elected.run} ({elected.figure:.4f})"
    if elected is not best:
        return (
            f"{text}: it ties with {best.run} ({best.figure:.4f}) and is cheaper "
            f"({elected.cost} against {best.cost})"
        )
    if comparison.tied:
        others = ", ".join(str(rival.run) for rival in comparison.tied)
        return f"{text}: a tie with {others}, which {_verb(comparison.tied)} not cheaper"
    return text


def _verb(rivals: Sequence[Rival]) -> str:
    return "is" if len(rivals) == 1 else "are"


def _table(lines: Sequence[tuple[str, ...]]) -> str:
    widths = [max(map(len, column)) for column in zip(*lines, strict=True)]
    aligned = [
        "  ".join(
            cell.ljust(width) if i < LEFT else cell.rjust(width)
            for i, (cell, width) in enumerate(zip(line, widths, strict=True))
        )
        for line in lines
    ]
    return "\n".join([aligned[0], "-" * len(aligned[0]), *aligned[1:]])
