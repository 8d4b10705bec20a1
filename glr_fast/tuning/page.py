"""The page of a study: one self-contained HTML file that fetches nothing (Jinja2, plotly.js)."""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import Any

import optuna
import optuna.visualization as charts
from optuna.trial import FrozenTrial, TrialState

from glr_fast.errors import ConfigError
from glr_fast.tuning.worker import REASON, SAME_AS, best_of, in_words
from glr_fast.whole_files import write_atomically

STATES = {
    TrialState.COMPLETE: "finished",
    TrialState.PRUNED: "pruned",
    TrialState.FAIL: "failed",
    TrialState.RUNNING: "running",
    TrialState.WAITING: "waiting",
}


def render(study: optuna.Study, file: Path, figure: str) -> None:
    """Write the page.

    Args:
        study: what it shows.
        file: where it goes.
        figure: name of the validation figure.

    Raises:
        ConfigError: plotly or Jinja2 is not installed.
    """
    try:
        from shard_tools.pages.environment import page_template, plotly_script, script_data
    except ModuleNotFoundError as error:
        raise ConfigError(
            f"{file.name} needs {error.name}, which is not installed; pip install "
            "'glr-fast[tune]' (in a checkout: pip install -e '.[tune]')"
        ) from None
    best, trials = best_of(study), study.get_trials(deepcopy=False)
    drawn = _charts(study, figure)
    done = sum(trial.state.is_finished() for trial in trials)
    template = page_template("glr_fast.tuning", "study.html.j2")
    text = template.render(
        title=study.study_name,
        figure=figure,
        subtitle=f"{done} of {len(trials)} trials done; the figure is the best {figure} on val",
        best=_row(best) if best else None,
        charts=[(title, note) for title, note, _ in drawn],
        data=script_data([data for _, _, data in drawn]),
        plotly_js=plotly_script(),
        rows=[_row(trial) for trial in trials],
    )
    write_atomically(file, text)


def _charts(study: optuna.Study, figure: str) -> list[tuple[str, str, Any]]:
    """Title, note and plotly figure of each chart that the trials are enough for."""
    done = study.get_trials(deepcopy=False, states=(TrialState.COMPLETE,))
    if not done:
        return []
    history = charts.plot_optimization_history(study, target_name=figure)
    found = [("History", "Each trial, and the best so far.", history)]
    flags = [flag for flag in done[0].params if len({str(t.params[flag]) for t in done}) > 1]
    if flags and len({trial.value for trial in done}) > 1:
        importance = _importance(study, figure)
        if importance is not None:
            note = "Share of the differences between trials that each option explains (fANOVA)."
            found.append(("Importance", note, importance))
        if len(flags) > 1:
            note = "A line is a trial; drag along an axis to choose."
            parallel = charts.plot_parallel_coordinate(study, params=flags, target_name=figure)
            found.append(("Parallel coordinates", note, parallel))
        slices = charts.plot_slice(study, params=flags, target_name=figure)
        found.append(("Each option", "Every trial's value of an option, and its figure.", slices))
    if any(trial.intermediate_values for trial in study.get_trials(deepcopy=False)):
        curves = charts.plot_intermediate_values(study)
        curves.update_layout(xaxis_title="evaluation", yaxis_title=figure)
        found.append(("Courses", "The figure of each trial at each evaluation.", curves))
    return [(title, note, _plain(chart)) for title, note, chart in found]


def _importance(study: optuna.Study, figure: str) -> Any | None:
    try:
        shares = optuna.importance.get_param_importances(study)
    except (RuntimeError, ValueError):  # too few trials, or too equal ones
        return None
    if not any(math.isfinite(share) and share > 0 for share in shares.values()):
        return None
    return charts.plot_param_importances(study, target_name=figure)


def _plain(chart: Any) -> Any:
    """A chart as JSON, with colours that suit a light and a dark page; the page has the title."""
    grey, line = "#808a97", "rgba(128, 138, 151, .3)"
    chart.update_layout(
        template="none",
        title=None,
        autosize=True,
        width=None,
        paper_bgcolor="rgba(0,0,0,0)",
        plot_bgcolor="rgba(0,0,0,0)",
        font={"color": grey},
        margin={"l": 60, "r": 20, "t": 40, "b": 50},
        legend={"orientation": "h", "y": -0.2},
    )
    chart.update_xaxes(gridcolor=line, zerolinecolor=line, automargin=True)
    chart.update_yaxes(gridcolor=line, zerolinecolor=line, automargin=True)
    return json.loads(chart.to_json() or "{}")


def _row(trial: FrozenTrial) -> dict[str, Any]:
    note = str(trial.user_attrs.get(REASON, ""))
    if SAME_AS in trial.user_attrs:
        note = f"same options as trial {trial.user_attrs[SAME_AS]}"
    took = trial.duration.total_seconds() if trial.duration else None
    return {
        "number": trial.number,
        "state": STATES[trial.state],
        "value": "" if trial.value is None else f"{trial.value:.4f}",
        "params": in_words(trial.params),
        "minutes": "" if took is None else f"{took / 60:.1f}",
        "note": note,
    }
