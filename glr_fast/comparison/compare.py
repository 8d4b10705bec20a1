"""Elects a run: the best on validation, or one that is as good within the interval and cheaper."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from glr_fast.compare_options import CompareOptions
from glr_fast.comparison.cost import Cost, costs, machine
from glr_fast.comparison.evaluations import (
    Evaluation,
    check_same_photos,
    on_validation,
    read_evaluations,
)
from glr_fast.comparison.paired import Difference, difference, resampled
from glr_fast.errors import ConfigError
from glr_fast.export_options import ExportOptions
from glr_fast.exports import export
from glr_fast.exports.folder import check_free
from glr_fast.trained_model import TrainedModel, load_model

SAME_COST = 1.1
"""Costs within this factor are the same: repeated measurements differ by so much."""


@dataclass(frozen=True)
class Rival:
    """One run in a comparison."""

    run: Path
    """The run folder."""
    evaluations: tuple[Evaluation, ...]
    """All of its evaluations."""
    figure: float
    """The figure that decides, on validation."""
    behind: Difference
    """How far it is behind the run with the largest figure."""
    cost: Cost
    """Parameters and speed."""


@dataclass(frozen=True)
class Comparison:
    """The outcome of a comparison."""

    by: str
    """The figure that decided."""
    rivals: tuple[Rival, ...]
    """The runs, in the order given."""
    best: Rival
    """The one with the largest figure."""
    elected: Rival
    """The best, or one that ties with it and is cheaper."""
    measured_on: str | None
    """The machine that speeds were measured on; None where they were not."""
    export: Path | None
    """Where the elected model was written."""

    @property
    def tied(self) -> tuple[Rival, ...]:
        """The runs other than the best whose difference from it is within the interval."""
        return tuple(r for r in self.rivals if r is not self.best and r.behind.tied)


def compare(options: CompareOptions) -> Comparison:
    """Compare evaluated runs and elect one by its figure on the validation split.

    Runs whose difference from the best is within the 95% interval of a paired bootstrap over the
    same photos tie with it; of these the cheapest is elected: the one that takes the least
    measured time for a photo on this machine or, not measured, has the fewest parameters. Costs
    within 10% count as equal; then the larger figure decides.

    Raises:
        ConfigError: no run, one that was not evaluated on validation or whose weights have changed
            since, evaluations of different stores or photos, or an output that exists.
    """
    runs = list(dict.fromkeys(Path(run) for run in options.runs))
    if not runs:
        raise ConfigError("give the folders of the runs to compare")
    if options.out is not None:
        check_free(options.out, options.overwrite)
    evaluations = {run: tuple(read_evaluations(run)) for run in runs}
    on_val = on_validation([e for found in evaluations.values() for e in found])
    tables = check_same_photos([on_val[run] for run in runs])
    estimates = resampled(tables, options.by, options.resamples)
    figures = dict(zip(runs, estimates, strict=True))
    first = max(runs, key=lambda run: figures[run][0])
    models = {run: _model_of(on_val[run]) for run in runs}
    cost = costs(models, options.measure)
    rivals = tuple(
        Rival(
            run,
            evaluations[run],
            float(figures[run][0]),
            difference(figures[first], figures[run]),
            cost[run],
        )
        for run in runs
    )
    best = next(rival for rival in rivals if rival.run == first)
    elected = elect(rivals)
    if options.out is not None:
        checkpoint = on_val[elected.run].figures.get("checkpoint", "best")
        overwrite = options.overwrite
        export(ExportOptions(elected.run, options.out, checkpoint=checkpoint, overwrite=overwrite))
    measured = machine(models[first].device) if options.measure else None
    return Comparison(options.by, rivals, best, elected, measured, options.out)


def elect(rivals: tuple[Rival, ...]) -> Rival:
    """The cheapest of those that tie with the best; the best itself ties with itself."""
    tied = [rival for rival in rivals if rival.behind.tied]
    least = min(rival.cost.relative for rival in tied)
    cheap = [rival for rival in tied if rival.cost.relative <= SAME_COST * least]
    return max(cheap, key=lambda rival: rival.figure)


def _model_of(evaluation: Evaluation) -> TrainedModel:
    """The model that was evaluated.

    Raises:
        ConfigError: not there, or its weights are others by now.
    """
    figures: Mapping = evaluation.figures
    model = load_model(evaluation.run, figures.get("checkpoint", "best"))
    then, now = figures.get("trained", model.note).get("step"), model.note.get("step")
    if then != now:
        raise ConfigError(
            f"{evaluation.folder}: evaluated at step {then}, but the weights are now of step "
            f"{now}; {evaluation.again()} again"
        )
    return model
