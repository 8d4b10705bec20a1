"""Fine-tune both networks with both losses on the 512 real photos of landmarks13.

    python -m benchmarks.bench_landmarks13 [--recipes resnet50_ce ...] [--work DIR]

Builds the store, trains from ../shared/weights on the CPU, evaluates on the test photos and on
validation and test photos together, and writes benchmarks/results/landmarks13.md. The line to pass
is a logistic regression on the same weights' frozen features.
"""

from __future__ import annotations

import argparse
import json
import shlex
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from benchmarks.environment import describe, repository

SHARED = repository().parent / "shared"
DATA = Path("../shared/data/landmarks13")
RESULT = Path("benchmarks/results/landmarks13.md")

#: Accuracy of a logistic regression on frozen features, 5-fold cross-validation on the 512 photos.
LINE = {"resnet50": 0.75, "efficientnet_b0": 0.79}

COMMON = (
    "--data.batch-size 32 --data.image-size 224 --model.fix-batch-norm --run.eval-every 0 "
    "--run.log-every 11 --tracker none"
)
FLAGS = {
    "resnet50": "--model.weights ../shared/weights/resnet50.safetensors",
    "efficientnet_b0": "--model.name tf_efficientnet_b0 "
    "--model.weights ../shared/weights/tf_efficientnet_b0.safetensors",
}


@dataclass(frozen=True)
class Trial:
    """One trained and evaluated run."""

    recipe: str
    command: str
    seconds: float
    figures: dict[str, dict[str, Any]]
    """By split: what evaluate.py wrote."""

    def row(self) -> str:
        """Its line in the table of the report."""
        both, test = self.figures["val,test"], self.figures["test"]
        line = next(line for name, line in LINE.items() if self.recipe.startswith(name))
        return (
            f"| `{self.recipe}` | {test['accuracy']:.2%} | {test['macro_f1']:.3f} "
            f"| {both['accuracy']:.2%} | {both['macro_f1']:.3f} | {line:.0%} "
            f"| {self.seconds / 60:.1f} |"
        )


def run(command: str) -> float:
    """Run a command of the report; returns seconds of wall time."""
    print(f"$ {command}", flush=True)
    words = shlex.split(command)
    words = [sys.executable, *words[1:]] if words[0] == "python" else words
    started = time.perf_counter()
    subprocess.run(words, cwd=repository(), check=True)
    return time.perf_counter() - started


def trial(recipe: str, store: Path, work: Path, extra: str) -> Trial:
    """Train and evaluate one recipe."""
    network = next(name for name in FLAGS if recipe.startswith(name))
    out = work / recipe
    command = (
        f"python launch/train.py --recipe {recipe} --data.store {store} --out {out} "
        f"{FLAGS[network]} {COMMON} {extra}"
    ).strip()
    seconds = run(command)
    figures = {}
    for split in ("val,test", "test"):
        run(
            f"python launch/evaluate.py --run {out} --store {store} --split {split} "
            "--checkpoint last"
        )
        file = out / f"eval-{split.replace(',', '-')}" / "metrics.json"
        figures[split] = json.loads((repository() / file).read_text())
    return Trial(recipe, command, seconds, figures)


def report(build: str, trials: list[Trial]) -> str:
    """The page of results."""
    rows = "\n".join(t.row() for t in trials)
    commands = "\n".join([build, *(t.command for t in trials)])
    sizes = trials[0].figures
    return f"""# landmarks13: both networks, both losses, on real photos

512 photos of 13 landmarks, 9 to 76 each: {sizes["test"]["photos"]} test photos,
{sizes["val,test"]["photos"]} validation and test photos together. A test photo is 2 points:
judge by both together. The weights are those at the end of training
(`--checkpoint last`): the validation photos chose nothing.

| recipe | test acc. | test macro F1 | val + test acc. | val + test macro F1 | line | minutes |
|---|---|---|---|---|---|---|
{rows}

The line to pass: logistic regression on the same weights' frozen features, 5-fold cross-validation
over the 512 photos. Seed 0, crops of 224 x 224 pixels, batch-norm statistics kept as pretrained.

{describe()}

Written by `python -m benchmarks.bench_landmarks13`, which ran:

```
{commands}
```
"""


def main() -> None:
    """Build, train, evaluate, write."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    recipes = [
        f"{name}_{loss}" for name in ("efficientnet_b0", "resnet50") for loss in ("ce", "ldam")
    ]
    parser.add_argument("--recipes", nargs="+", default=recipes, choices=recipes)
    parser.add_argument("--work", type=Path, default=Path("runs/landmarks13"))
    parser.add_argument(
        "--extra", default="--optim.epochs 10 --optim.lr 0.002", help="more flags for train.py"
    )
    parser.add_argument("--result", type=Path, default=RESULT)
    options = parser.parse_args()
    if not SHARED.is_dir():
        sys.exit(f"{SHARED}: not here; it holds the photos and the weights")
    store = options.work / "store"
    build = f"glr-shard build --source {DATA} --out {store}"
    if not (repository() / store / "manifest.json").is_file():
        run(str(Path(sys.executable).with_name("glr-shard")) + build.removeprefix("glr-shard"))
    trials = [trial(name, store, options.work, options.extra) for name in options.recipes]
    options.result.parent.mkdir(parents=True, exist_ok=True)
    options.result.write_text(report(build, trials))
    print(f"written to {options.result}")


if __name__ == "__main__":
    main()
