"""Training fed by the loader, by nothing at all, and by what one would write with webdataset.

    python -m benchmarks.bench_train          # half an hour; --part feeds or options for a half

The step is the trainer's (forward, backward, clipping, AdamW). ``synthetic`` gives the same batch
again and again: the ceiling. The feeds take turns of one step on one model, in an order drawn anew
each round, so a slow spell hits all alike; a pause before each turn lets a feed fill its queue, as
it does in a long run. What is measured is kept, so that a run that was stopped goes on. Writes
benchmarks/results/train_cpu.md.
"""

# ruff: noqa: E402

from __future__ import annotations

from glr_fast.cpu_settings import apply_cpu_settings

apply_cpu_settings()  # as the commands do, before torch is loaded

import argparse
import dataclasses
import json
import random
import time
from collections.abc import Callable
from contextlib import ExitStack, closing
from pathlib import Path
from statistics import median
from typing import Any, cast, get_args

import torch

from benchmarks.bench_loader import write_whole
from benchmarks.environment import describe, repository
from benchmarks.samples import Spread, table
from benchmarks.stores import open_store, source_photos
from benchmarks.train_step import Feed, Task, TrainStep, Turn, feed, run
from glr_fast.model_config import LossName

MODELS = ("resnet50", "efficientnet_b0")
LOSSES: tuple[LossName, ...] = ("ce", "ldam")
FEEDS: tuple[Feed, ...] = get_args(Feed)
TARGET = 0.97
OPTIONS: dict[str, dict[str, Any]] = {
    "float32, channels-last (the default)": {},
    "float32, contiguous": {"channels_last": False},
    "bfloat16, channels-last": {"bf16": True},
    "float32, channels-last, `torch.compile`": {"compiled": True},
}


def measure_feeds(task: Task, store: Path, options: argparse.Namespace) -> dict[str, Any]:
    """Every feed in turn on one model; turns by feed."""
    turns: dict[str, list[Turn]] = {kind: [] for kind in FEEDS}
    step = TrainStep(task)
    with ExitStack() as stack:
        opened = {
            kind: stack.enter_context(closing(feed(kind, task, store, options.workers)))
            for kind in FEEDS
        }
        for batches in opened.values():
            run(step, batches, options.warm)
        shuffle = random.Random(0)
        for _ in range(options.rounds):
            for kind in shuffle.sample(FEEDS, len(FEEDS)):
                time.sleep(options.pause)
                turns[kind].append(run(step, opened[kind], options.steps))
    return {kind: [dataclasses.asdict(turn) for turn in each] for kind, each in turns.items()}


def measure_options(model: str, options: argparse.Namespace) -> dict[str, Any]:
    """Ways to compute the step, on synthetic batches; turns by way, or why it failed."""
    found: dict[str, Any] = {}
    steps: dict[str, tuple[TrainStep, Any]] = {}
    for name, changes in OPTIONS.items():
        task = Task(model, batch_size=options.batch, image_size=options.size)
        task = dataclasses.replace(task, **changes)
        if options.no_compile and task.compiled:
            continue
        try:
            step, batches = TrainStep(task), feed("synthetic", task, Path(), 0)
            started = time.perf_counter()
            run(step, batches, options.warm)
        except Exception as error:
            found[name] = f"{type(error).__name__}: {error}".splitlines()[0][:120]
            continue
        print(f"  {model}, {name}: ready in {time.perf_counter() - started:.0f} s", flush=True)
        steps[name], found[name] = (step, batches), []
    for _ in range(options.option_rounds):
        for name, (step, batches) in steps.items():
            found[name].append(dataclasses.asdict(run(step, batches, options.option_steps)))
    return found


def feeds_table(held: dict[str, Any]) -> str:
    """A row for each model, loss and feed."""
    rows = []
    for name, kinds in held.items():
        model, loss = name.split("|")
        turns = {kind: [Turn(**turn) for turn in each] for kind, each in kinds.items()}
        ceiling = [turn.rate for turn in turns["synthetic"]]
        for kind, each in turns.items():
            whole = Turn.joined(each)
            share = Spread.of_the_median(
                [turn.rate / best for turn, best in zip(each, ceiling, strict=True)]
            )
            verdict = ""
            if kind == "loader":
                near = "missed, within the interval" if share.high >= TARGET else "missed"
                verdict = f"**{'met' if share.median >= TARGET else near}**"
            rows.append(
                [
                    model,
                    loss,
                    kind,
                    f"{median([turn.rate for turn in each]):.2f}",
                    f"{1000 * whole.percentile(0.5):,.0f}",
                    f"{1000 * whole.percentile(0.99):,.0f}",
                    f"{whole.waited / whole.seconds:.1%}",
                    share.text(3),
                    verdict,
                ]
            )
    header = ["model", "loss", "fed by", "images/s", "step p50, ms", "p99, ms", "waiting"]
    return table([*header, "of synthetic", f"at least {TARGET}"], rows)


def options_table(held: dict[str, Any]) -> str:
    """A row for each model and way to compute."""
    rows = []
    for model, ways in held.items():
        base: list[Turn] = []
        for name, each in ways.items():
            if isinstance(each, str):
                rows.append([model, name, "failed", each])
                continue
            turns = [Turn(**turn) for turn in each]
            base = base or turns
            gain = Spread.of([a.rate / b.rate for a, b in zip(turns, base, strict=True)])
            rows.append([model, name, f"{median([t.rate for t in turns]):.2f}", gain.text(2)])
    return table(["model", "step", "images/s", "of the default"], rows)


def page(work: Path, options: argparse.Namespace, photos: str) -> str:
    """The page of what has been measured."""
    o, threads = options, torch.get_num_threads()
    feeds, ways = read(work / "feeds.json"), read(work / "options.json")
    where = read(work / "where.json").get("where", describe())
    return f"""# Training on a CPU

One step is the trainer's: batches of {o.batch} crops of {o.size} pixels, forward, backward,
gradient clipping, AdamW; random weights, 1,000 classes, {threads} threads of PyTorch. Photos:
{photos}, with their own bytes. The loader decodes in {o.workers} threads beside the step,
webdataset in {o.workers} worker processes; `synthetic` gives one batch again and again, so it is
the ceiling. {o.rounds} rounds with a turn of {o.steps} for each feed; `of synthetic` is formed in
each round, then its median is taken (and where 95% of the medians of resampled rounds lie).

## Feeds

{feeds_table(feeds)}

## Ways to compute the step

On synthetic batches, interleaved: {o.option_rounds} rounds with turns of {o.option_steps} steps,
median (least to most). `--precision bf16` and `accelerate launch --dynamo_backend
inductor` turn the last two on; channels-last is what training always uses.

{options_table(ways)}

## Where and how

{where}

```
python -m benchmarks.bench_train{changed(options)}
```
"""


def read(path: Path) -> dict[str, Any]:
    """A JSON file, or nothing."""
    return json.loads(path.read_text()) if path.exists() else {}


def keep(path: Path, names: list[str], measure: Callable[[str], dict[str, Any]]) -> None:
    """Measure what the file does not hold yet, and write it after each."""
    held = read(path)
    for name in names:
        if name not in held:
            held[name] = measure(name)
            write_whole(path, json.dumps(held))
            print(f"  {name} done", flush=True)


def changed(options: argparse.Namespace) -> str:
    """What to add to the command, so that it measures the same again."""
    usual = vars(parser().parse_args([]))
    said = {name: value for name, value in vars(options).items() if value != usual[name]}
    for name in ("work", "results", "part"):  # where, not what
        said.pop(name, None)
    words = []
    for name, value in said.items():
        words.append(f"--{name.replace('_', '-')}")
        words += [] if value is True else map(str, value if isinstance(value, list) else [value])
    return "".join(f" {word}" for word in words)


def parser() -> argparse.ArgumentParser:
    """The options of the command."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--work", type=Path, default=Path("runs/bench_train"))
    parser.add_argument("--results", type=Path, default=repository() / "benchmarks/results")
    parser.add_argument("--part", choices=("feeds", "options", "both"), default="both")
    parser.add_argument("--models", nargs="+", default=list(MODELS))
    parser.add_argument("--batch", type=int, default=8)
    parser.add_argument("--size", type=int, default=224)
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--rounds", type=int, default=60, help="of the feeds")
    parser.add_argument("--steps", type=int, default=1, help="of a feed in a round")
    parser.add_argument("--option-rounds", type=int, default=5)
    parser.add_argument("--option-steps", type=int, default=4)
    parser.add_argument("--warm", type=int, default=3)
    parser.add_argument("--pause", type=float, default=0.15)
    parser.add_argument("--no-compile", action="store_true", help="leave torch.compile out")
    parser.add_argument("--small", action="store_true", help="few generated photos")
    return parser


def main(arguments: list[str] | None = None) -> None:
    """Measure what is not yet measured, write the page."""
    options = parser().parse_args(arguments)
    options.work.mkdir(parents=True, exist_ok=True)
    photos, said = source_photos(options.work, options.small)
    store = open_store("original", photos, options.work)
    if not (options.work / "where.json").exists():
        write_whole(options.work / "where.json", json.dumps({"where": describe()}))

    def feeds(name: str) -> dict[str, Any]:
        model, loss = name.split("|")
        task = Task(model, cast(LossName, loss), batch_size=options.batch, image_size=options.size)
        return measure_feeds(task, store, options)

    pairs = [f"{model}|{loss}" for model in options.models for loss in LOSSES]
    if options.part != "options":
        keep(options.work / "feeds.json", pairs, feeds)
    if options.part != "feeds":
        keep(
            options.work / "options.json",
            list(options.models),
            lambda model: measure_options(model, options),
        )
    options.results.mkdir(parents=True, exist_ok=True)
    text = page(options.work, options, said)
    write_whole(options.results / "train_cpu.md", text)
    print(text)


if __name__ == "__main__":
    main()
