"""The page of benchmarks/bench_landmarks13: figures and times, read from what the steps wrote."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import optuna
import pyarrow as pa
import pyarrow.parquet as pq

from benchmarks.samples import table

#: Accuracy of a logistic regression on frozen features, 5-fold cross-validation on the 512 photos.
LINE = {"resnet50": 0.75, "efficientnet_b0": 0.79}
SAME_TO = 1e-4
"""What answers to a bare file and to the same photo in a store may differ by."""


@dataclass(frozen=True)
class Done:
    """A step that has been done."""

    name: str
    commands: list[str]
    seconds: float
    commit: str
    alone: bool
    """Whether nothing else ran on the machine meanwhile: else the time is an upper bound."""

    @property
    def time(self) -> str:
        """Seconds in words."""
        return f"{self.seconds:.0f}" if self.alone else f"{self.seconds:.0f} (shared)"


@dataclass(frozen=True)
class Answered:
    """Bare files against the same photos in the store."""

    photos: int
    right: int
    worst: float
    """Largest difference of a probability, over the five best of each photo."""


def write_page(
    file: Path, work: Path, recipes: Sequence[str], done: Sequence[Done], where: str
) -> None:
    """Write the page.

    Raises:
        SystemExit: a bare file is answered otherwise than the same photo in the store.
    """
    exported_from = _json(work / "best" / "export.json")["exported_from"]
    elected = work / Path(exported_from).parent.name
    answered = compare_answers(work / "answers.parquet", elected / "eval-test")
    file.write_text(_page(work, recipes, done, where, elected.name, answered))
    if answered.worst > SAME_TO:
        raise SystemExit(f"bare files are answered otherwise than the store: {answered.worst:.2e}")


def compare_answers(answers: Path, evaluated: Path) -> Answered:
    """Compare what ``predict`` says of bare files with an evaluation of the store.

    Args:
        answers: of ``predict --all``.
        evaluated: folder of the evaluation by the same weights.

    Raises:
        ValueError: they are not of the same photos.
    """
    bare = _by_name(pq.read_table(answers))
    stored = _by_name(pq.read_table(evaluated / "predictions.parquet"))
    if bare.keys() != stored.keys():
        raise ValueError(f"{answers} and {evaluated} are not of the same photos")
    worst, right = 0.0, 0
    for name, row in stored.items():
        every = np.array(bare[name]["probabilities"])
        said = np.array(row["top_probabilities"])
        worst = max(worst, float(np.abs(every[row["top_labels"]] - said).max()))
        right += bare[name]["landmark_id"] == row["landmark_id"]
    return Answered(len(stored), right, worst)


def _by_name(rows: pa.Table) -> dict[str, dict[str, Any]]:
    return {Path(row["path"]).name: row for row in rows.to_pylist()}


def _page(
    work: Path,
    recipes: Sequence[str],
    done: Sequence[Done],
    where: str,
    elected: str,
    answered: Answered,
) -> str:
    sizes = {split: _figures(work, recipes[0], split)["photos"] for split in ("test", "val-test")}
    programs = _json(work / "exported" / "export.json")["programs"]
    exported = "\n".join(
        f"- `{name}`: {found['worst_difference']:.1e} ({found['source'].replace(f'{work}/', '')})"
        for name, found in programs.items()
    )
    pages = [path for path in (work / "gallery").rglob("*") if path.is_file()]
    megabytes = sum(path.stat().st_size for path in pages) / 1e6
    gallery = f"{len(pages)} file{'s' if len(pages) > 1 else ''}, {megabytes:.1f} MB"
    commits = sorted({step.commit for step in done})
    return f"""# landmarks13: from 512 real photos to an elected model and its answers

512 photos of 13 landmarks, 9 to 76 each: {sizes["test"]} test photos,
{sizes["val-test"]} validation and test photos together. A test photo is 2 points: judge by both
together. Seed 0, crops of 224 x 224 pixels, 10 epochs from the weights in ../shared/weights,
batch-norm statistics kept as pretrained. The weights are those at the end of training: validation
photos chose nothing before the election.

## Both networks, both losses

{_trained(work, recipes)}

The line to pass: logistic regression on the same weights' frozen features, 5-fold cross-validation
over the 512 photos. In brackets: 95% intervals from bootstrap resamples of the photos.

## Election

```
{(work / "compare.txt").read_text().replace(f"{work}/", "").strip()}
```

## Search

8 trials of EfficientNet-B0 at 112 x 112 pixels, 3 epochs each: they show the tool at work, not the
best figures. The median pruner gives up what is worse than half of the others at the same age.

{_tried(work / "study")}

## Answers to bare files

The {answered.photos} test photos as files through `predict` with the elected model (`{elected}`):
{answered.right} right. No probability differs by more than {answered.worst:.1e} from that of the
same photo in the store, as `evaluate` computed it ({SAME_TO:.0e} is allowed). Their gallery:
{gallery}.

## Export

Worst difference of a probability from the model's:

{exported}

## Times

{_times(done)}

{where.split("; commit")[0]}; commit {", ".join(commits)}.

Written by `python -m benchmarks.bench_landmarks13`, which ran:

```
{chr(10).join(line for step in done for line in step.commands)}
```
"""


def _trained(work: Path, recipes: Sequence[str]) -> str:
    header = ["recipe", "test acc.", "test macro F1", "val + test acc.", "val + test macro F1"]
    rows = []
    for recipe in recipes:
        test, both = (_figures(work, recipe, split) for split in ("test", "val-test"))
        low, high = both["intervals"]["accuracy"]
        row = [f"`{recipe}`", f"{test['accuracy']:.2%}", f"{test['macro_f1']:.3f}"]
        row += [f"{both['accuracy']:.2%} ({low:.1%} to {high:.1%})", f"{both['macro_f1']:.3f}"]
        line = next(line for name, line in LINE.items() if recipe.startswith(name))
        row += [f"{both['gap']:.3f}", f"{both['ece']:.3f}", f"{line:.0%}"]
        rows.append(row)
    return table([*header, "GAP", "ECE", "line"], rows)


def _tried(study: Path) -> str:
    optuna.logging.set_verbosity(optuna.logging.ERROR)
    found = optuna.load_study(study_name=study.name, storage=f"sqlite:///{study}/study.db")
    names = sorted({name for trial in found.trials for name in trial.params})
    rows = []
    for trial in found.trials:
        value = "-" if trial.value is None else f"{trial.value:.3f}"
        shown = [
            f"{v:.2g}" if isinstance(v, float) else str(v) for v in map(trial.params.get, names)
        ]
        rows.append([str(trial.number), *shown, trial.state.name.lower(), value])
    best = found.best_trial
    return table(["trial", *names, "ended", "macro F1 on val"], rows) + f"\n\nBest: {best.number}."


def _times(done: Sequence[Done]) -> str:
    listed = table(["step", "seconds"], [[step.name, step.time] for step in done])
    minutes = sum(step.seconds for step in done) / 60
    if all(step.alone for step in done):
        return f"{listed}\n\n{minutes:.0f} minutes in all."
    return f"{listed}\n\nShared: other work ran on the machine meanwhile."


def _figures(work: Path, recipe: str, splits: str) -> dict[str, Any]:
    return _json(work / recipe / f"eval-{splits}" / "metrics.json")


def _json(file: Path) -> dict[str, Any]:
    return json.loads(file.read_text())
