"""From the 512 real photos of landmarks13 to an elected model and its answers, with every command.

    python -m benchmarks.bench_landmarks13 [--only STEP ...] [--work DIR]

Builds a store, trains both networks with both losses from ../shared/weights on the CPU, searches
(8 trials), evaluates with reports, compares, recognises the test photos as bare files, makes a
gallery of them and exports. A step that is done, by the same command, is not done again; with all
of them done, benchmarks/results/landmarks13.md is written. The line to pass is a logistic
regression on the same weights' frozen features.
"""

from __future__ import annotations

import argparse
import json
import os
import shlex
import shutil
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import pyarrow.parquet as pq

from benchmarks.environment import commit, describe, repository
from benchmarks.landmarks13_page import Done, write_page

SHARED = repository().parent / "shared"
DATA = Path("../shared/data/landmarks13")
RESULT = Path("benchmarks/results/landmarks13.md")
STEPS = "steps.json"

RECIPES = [f"{name}_{loss}" for name in ("efficientnet_b0", "resnet50") for loss in ("ce", "ldam")]
COMMON = "--data.batch-size 32 --model.fix-batch-norm --run.log-every 11 --tracker none"
TRAINED = "--data.image-size 224 --run.eval-every 0 --optim.epochs 10 --optim.lr 0.002"
WEIGHTS = {
    "resnet50": "--model.weights ../shared/weights/resnet50.safetensors",
    "efficientnet_b0": "--model.name tf_efficientnet_b0 "
    "--model.weights ../shared/weights/tf_efficientnet_b0.safetensors",
}
SEARCH = (
    "--trials 8 --search optim.lr=log:3e-4:1e-2 --search loss.name=ce,ldam "
    "--search data.erase=0,0.25 --data.image-size 112 --optim.epochs 3"
)


@dataclass(frozen=True)
class Step:
    """One or more commands, and what they write."""

    name: str
    commands: tuple[str, ...]
    out: tuple[Path, ...] = ()
    """Taken away first, so that a step that was interrupted begins anew."""
    before: Callable[[], None] | None = None
    """What is done first, outside of the time."""


def steps_of(work: Path, extra: str = "") -> list[Step]:
    """The whole chain, in order; ``extra`` are more flags for the trainings."""
    store, runs = work / "store", [work / recipe for recipe in RECIPES]
    steps = [Step("build", (f"glr-shard build --source {DATA} --out {store}",), (store,))]
    for recipe, run in zip(RECIPES, runs, strict=True):
        network = next(name for name in WEIGHTS if recipe.startswith(name))
        flags = f"{WEIGHTS[network]} {COMMON} {TRAINED} {extra}".rstrip()
        line = f"python launch/train.py --recipe {recipe} --data.store {store} --out {run} {flags}"
        steps.append(Step(f"train {recipe}", (line,), (run,)))
    study = work / "study"
    line = (
        f"python launch/tune.py --recipe efficientnet_b0_ce --data.store {store} --out {study} "
        f"{SEARCH} {WEIGHTS['efficientnet_b0']} {COMMON} {extra}"
    )
    steps.append(Step("tune", (line.rstrip(),), (study,)))
    for recipe, run in zip(RECIPES, runs, strict=True):
        line = f"python launch/evaluate.py --run {run} --store {store} --split"
        lines = (f"{line} val --no-report", f"{line} val,test --no-report", f"{line} test")
        folders = tuple(run / f"eval-{name}" for name in ("val", "val-test", "test"))
        steps.append(Step(f"evaluate {recipe}", lines, folders))
    best, files = work / "best", work / "test-photos"
    named = " ".join(map(str, runs))
    line = f"python launch/compare.py {named} --out {best}"
    said = work / "compare.txt"
    steps.append(Step("compare", (f"{line} > {said}",), (best, said)))
    line = f"python launch/predict.py --model {best} {files}"
    out, gallery, exported = work / "answers.parquet", work / "gallery", work / "exported"
    steps.append(
        Step(
            "predict",
            (f"{line} --all --out {out}",),
            (files, out),
            lambda: lay_out(repository() / store, repository() / files),
        )
    )
    steps.append(Step("gallery", (f"{line} --gallery {gallery}",), (gallery,)))
    line = f"python launch/export.py --model {best} --out {exported} --store {store}"
    steps.append(Step("export", (f"{line} --formats onnx,torch-export",), (exported,)))
    return steps


def lay_out(store: Path, files: Path) -> None:
    """The test photos of a store as bare files, copied from where the store has them from."""
    samples = pq.read_table(store / "samples.parquet", columns=["path", "split"]).to_pylist()
    files.mkdir()
    for sample in samples:
        if sample["split"] == "test":
            path = repository() / DATA / "train" / sample["path"]
            shutil.copy(path, files / path.name)


def run(step: Step) -> float:
    """Run the commands of a step; returns seconds of wall time."""
    for place in step.out:
        path = repository() / place
        if path.is_dir():
            shutil.rmtree(path)
        path.unlink(missing_ok=True)
    if step.before:
        step.before()
    started = time.perf_counter()
    for command in step.commands:
        print(f"$ {command}", flush=True)
        line, _, output = command.partition(" > ")
        program, *rest = shlex.split(line)
        beside = Path(sys.executable).with_name(program)
        words = [sys.executable if program == "python" else str(beside), *rest]
        paths = os.environ | {"PYTHONPATH": str(repository())}
        kept = subprocess.PIPE if output else None
        done = subprocess.run(words, cwd=repository(), env=paths, check=True, stdout=kept)
        if output:
            (repository() / output).write_bytes(done.stdout)
    return time.perf_counter() - started


def done_before(file: Path) -> dict[str, Done]:
    """The steps that are done, by name."""
    entries = json.loads(file.read_text()) if file.is_file() else []
    return {entry["name"]: Done(**entry) for entry in entries}


def main() -> None:
    """Do what is not done yet; write the page."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--work", type=Path, default=Path("runs/landmarks13"))
    parser.add_argument("--only", nargs="+", metavar="STEP", help="steps, by their first words")
    parser.add_argument("--shared", action="store_true", help="other work runs beside: marks times")
    parser.add_argument("--extra", default="", help="more flags for the trainings")
    parser.add_argument("--result", type=Path, default=RESULT)
    options = parser.parse_args()
    if not SHARED.is_dir():
        sys.exit(f"{SHARED}: not here; it holds the photos and the weights")
    work = repository() / options.work
    work.mkdir(parents=True, exist_ok=True)
    steps, finished = steps_of(options.work, options.extra), done_before(work / STEPS)
    for step in steps:
        known = finished.get(step.name)
        if known and known.commands == list(step.commands):
            continue
        if options.only and not step.name.startswith(tuple(options.only)):
            continue
        seconds = run(step)
        done = Done(step.name, list(step.commands), seconds, commit(), not options.shared)
        finished = done_before(work / STEPS) | {step.name: done}  # others may do steps meanwhile
        entries = [finished[s.name].__dict__ for s in steps if s.name in finished]
        (work / STEPS).write_text(json.dumps(entries, indent=1))
    left = [step.name for step in steps if step.name not in finished]
    if left:
        print(f"left to do: {', '.join(left)}")
        return
    chain = [finished[step.name] for step in steps]
    write_page(repository() / options.result, work, RECIPES, chain, describe())
    print(f"written to {options.result}")


if __name__ == "__main__":
    main()
