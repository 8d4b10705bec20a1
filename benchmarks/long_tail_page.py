"""The page of benchmarks/bench_long_tail.py: tables and verdicts from the rows of its runs."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from statistics import mean, stdev
from typing import Protocol

from scipy.stats import t

from benchmarks.samples import table

FIGURES = {
    "accuracy": "accuracy",
    "macro_f1": "macro F1",
    "few_recall": "recall, 4 rarest",
    "many_recall": "recall, others",
}
LOSSES = {
    "ce": "cross-entropy, label smoothing 0.1 (`*_ce`)",
    "ldam": "LDAM, s = 1, linear (`*_ldam`)",
    "ldam_drw": "LDAM, s = 30, cosine, deferred weights (`*_ldam_drw`)",
    "logit_adjustment": "logit adjustment (`*_logit_adjustment`)",
    "arcface": "sub-center ArcFace, GeM (`*_arcface`)",
}


class Seeded(Protocol):
    """A run, with figures as attributes, shares in 0..1."""

    @property
    def seed(self) -> int: ...


class Row(Seeded, Protocol):
    """What a run has to say (``bench_long_tail.Result``)."""

    @property
    def ratio(self) -> float: ...
    @property
    def loss(self) -> str: ...
    @property
    def policy(self) -> str: ...
    @property
    def margin(self) -> float | None: ...
    @property
    def seconds(self) -> float: ...


Case = tuple[str, str]
"""Loss and policy."""


def page(
    results: Sequence[Row],
    counts: Mapping[float, Mapping[str, Sequence[int]]],
    best: Mapping[tuple[float, str], float | None],
    epochs: int,
    side: int,
    machine: str,
) -> str:
    """The text.

    Args:
        results: all runs.
        counts: photos per class, descending, by ratio and split.
        best: chosen margin by ratio and loss.
        epochs: of each run.
        side: pixels of the images.
        machine: where it ran.
    """
    parts = [_part(ratio, results, counts[ratio], best) for ratio in counts]
    seeds = sorted({row.seed for row in results})
    seconds = mean(row.seconds for row in results)
    return f"""# Losses and policies on long-tailed photos

EfficientNet-B0 (`tf_efficientnet_b0`, ImageNet weights), fine-tuned for {epochs} epochs on
landmarks13 at {side} x {side} pixels, in batches of 16, thinned to two imbalance ratios by the rule
in `benchmarks/long_tail_data.py`: training photos fall exponentially from class to class, at least
one each; those that are thinned out measure, with the test photos. Mean and standard deviation over
the seeds {", ".join(map(str, seeds))}; {len(results)} runs of {seconds:.0f} s. "Balanced": classes
are drawn equally often from the last fifth of the epochs on. The test photos chose nothing: margins
were chosen by mean validation macro F1, separately for each loss and ratio, with the natural order.
The validation photos are few, so this choice is noisy. What is not in a table was not run: the
order of the runs is that of `points` in `benchmarks/bench_long_tail.py`.

A difference is called clear when the 95% t-interval of its mean over the seeds leaves out 0. Of
twenty differences that are nothing, one is clear by chance. Seeds change the head's start, the
order and the crops; the photos are the same, so even a clear difference may be an accident of these
13 landmarks.

{chr(10).join(parts)}
{machine}

Written by `python -m benchmarks.bench_long_tail`; every run is a row of `long_tail.csv`.
"""


def _part(
    ratio: float,
    results: Sequence[Row],
    counts: Mapping[str, Sequence[int]],
    best: Mapping[tuple[float, str], float | None],
) -> str:
    cases = _cases(ratio, results, best)
    baseline = cases.get(("ce", "natural"), [])
    rows = []
    for (loss, policy), runs in cases.items():
        margin = best.get((ratio, loss))
        name = LOSSES[loss] + _choice(margin, _tried(ratio, loss, results))
        cells = [spread(runs, figure) for figure in FIGURES]
        against = [difference(runs, baseline, figure) for figure in ("macro_f1", "few_recall")]
        rows.append([name, policy, *cells, *against])
    header = ["loss", "policy", *FIGURES.values(), "macro F1 over CE", "rare recall over CE"]
    train = counts["train"]
    return f"""## Ratio {ratio:g}

{sum(train)} training photos ({", ".join(map(str, train))}), {sum(counts["val"])} to choose by,
{sum(counts["test"])} to measure with. Figures in %, differences in points against cross-entropy in
the natural order, by seed.

{table(header, rows)}
"""


def _tried(ratio: float, loss: str, results: Sequence[Row]) -> list[float]:
    """Margins of a loss that were run in the natural order."""
    of_loss = [r for r in results if (r.ratio, r.loss, r.policy) == (ratio, loss, "natural")]
    return sorted({row.margin for row in of_loss if row.margin is not None})


def _choice(margin: float | None, tried: Sequence[float]) -> str:
    if margin is None:
        return ""
    others = [f"{other:g}" for other in tried if other != margin]
    return f", largest margin {margin:g}" + (f" (not {', '.join(others)})" if others else "")


def _cases(
    ratio: float, results: Sequence[Row], best: Mapping[tuple[float, str], float | None]
) -> dict[Case, list[Row]]:
    """Runs by loss and policy, of the chosen margin only, by seed."""
    cases: dict[Case, list[Row]] = {}
    for loss in LOSSES:
        for policy in ("natural", "balanced"):
            runs = [
                row
                for row in results
                if (row.ratio, row.loss, row.policy) == (ratio, loss, policy)
                and row.margin == best.get((ratio, loss))
            ]
            if runs:
                cases[loss, policy] = sorted(runs, key=lambda row: row.seed)
    return cases


def spread(runs: Sequence[Seeded], figure: str) -> str:
    """Mean and standard deviation of a figure, in %."""
    values = [100 * getattr(row, figure) for row in runs]
    deviation = f" ± {stdev(values):.1f}" if len(values) > 1 else ""
    return f"{mean(values):.1f}{deviation}"


def difference(runs: Sequence[Seeded], baseline: Sequence[Seeded], figure: str) -> str:
    """Mean difference by seed, its standard deviation, and whether it is clear."""
    other = {row.seed: getattr(row, figure) for row in baseline}
    pairs = [100 * (getattr(row, figure) - other[row.seed]) for row in runs if row.seed in other]
    if runs is baseline or len(pairs) < 2:
        return "-"
    return f"{mean(pairs):+.1f} ± {stdev(pairs):.1f}{' (clear)' if is_clear(pairs) else ''}"


def is_clear(differences: Sequence[float]) -> bool:
    """Whether the 95% t-interval of their mean leaves out 0."""
    error = stdev(differences) / len(differences) ** 0.5
    return abs(mean(differences)) > float(t.ppf(0.975, len(differences) - 1)) * error
