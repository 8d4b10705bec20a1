"""The steps of the first hour on a GPU; benchmarks/first_gpu_hour.py runs each in its own process.

A step is a function of the work folder, its sizes and ``note``, which it calls with each figure:
(what, figure, unit or verdict). A step that is cut short leaves what it had.
"""

from __future__ import annotations

import dataclasses
import os
import subprocess
import sys
from collections.abc import Callable
from contextlib import ExitStack, closing
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from typing import Any, cast

from benchmarks.environment import describe, repository
from benchmarks.gpu_contenders import Work, contenders, planned_dali, targets
from benchmarks.gpu_race import Contender, first_line, race
from benchmarks.samples import Sample, Spread, ratio, write_csv
from benchmarks.stores import open_store, source_photos
from benchmarks.train_step import Batches, Feed, Task, TrainStep, Turn, feed, run
from glr_fast.data import usable_cores
from glr_fast.loader_options import DecoderOptions
from glr_fast.model_config import LossName
from shard_tools.store import Store

Note = Callable[[str, str, str], None]
"""Takes down a row: what, figure, remark."""

#: Published for one A100 with bf16 or TF32 and DALI (NVIDIA's DeepLearningExamples), images/s.
PUBLISHED = {"resnet50": 2470, "efficientnet_b0": 2489}
#: Fed over synthetic, at least.
FED = {"resnet50": 0.97, "efficientnet_b0": 0.95}
_OVER_PUBLISHED = 1.3


@dataclass(frozen=True)
class Sizes:
    """How large everything is."""

    device: str = "cuda"
    models: tuple[str, str] = ("resnet50", "efficientnet_b0")
    classes: tuple[int, ...] = (1000, 81_313)
    batch: int = 256
    side: int = 224
    threads: int = dataclasses.field(default_factory=usable_cores)
    seconds: float = 0.5
    """Least time of a turn in a race."""
    steps: int = 15
    """Training steps of a turn."""
    warm: int = 4
    """Training steps before each turn: more than the loader has ready."""
    rounds: int = 5
    settings: int | None = None
    """Settings of the loader that are swept; None for all."""
    small: bool = False
    """A few generated photos."""


TINY = Sizes(
    device="cpu",
    models=("test_resnet", "test_efficientnet"),
    classes=(20, 50),
    batch=8,
    side=32,
    threads=1,
    seconds=0.01,
    steps=2,
    warm=1,
    rounds=1,
    settings=3,
    small=True,
)


def the_store(work: Path, sizes: Sizes) -> Path:
    """The store that all steps read: made in the first, from landmarks13 or generated photos."""
    given = os.environ.get("GLR_STORE")
    photos, _ = (Path(), "") if given else source_photos(work, sizes.small)
    return Path(given) if given else open_store("original", photos, work, shard=64)


def machine(work: Path, sizes: Sizes, note: Note) -> None:
    """What the machine is, and what ``glr-doctor`` says of it."""
    from glr_fast.doctor.run import examine

    note("machine", describe(), "")
    for finding in examine(work):
        note(finding.subject, finding.state, f"{finding.found} {finding.advice}".strip())
    store = Store.open(the_store(work, sizes))
    note("store", str(len(store.split_rows("train"))), "photos to train on")


def tests(work: Path, sizes: Sizes, note: Note) -> None:
    """``pytest -m gpu``."""
    chosen = ["-m", "gpu", "tests/gpu", "-p", "no:cacheprovider"]
    command = [sys.executable, "-m", "pytest", "-q", *chosen]
    with open(work / "pytest.log", "w") as log:
        done = subprocess.run(command, cwd=repository(), stdout=log, stderr=subprocess.STDOUT)
    said = [line for line in (work / "pytest.log").read_text().splitlines() if line.strip()]
    for line in said:
        if line.startswith(("FAILED", "ERROR")):
            note("test", "failed", line)
    note("pytest -m gpu", "passed" if done.returncode == 0 else "failed", said[-1].strip("= "))


def loader(work: Path, sizes: Sizes, note: Note) -> None:
    """Our loader and its settings, the bare decoder, stock DALI, webdataset: one race."""
    chosen = _work(work, sizes)
    samples = _race(work, "loader", contenders(chosen, sizes.settings), sizes, note)
    for target in targets(list(samples)):
        judged = target.judge(samples)
        if judged:
            note(target.text, judged[0].text(2), f"{judged[1]}: at least {target.least:g}")


def train(work: Path, sizes: Sizes, note: Note) -> None:
    """Fed over synthetic: both models, few and many classes, both losses."""
    store = the_store(work, sizes)
    for classes in sizes.classes:
        for number, model in enumerate(sizes.models):
            published = list(PUBLISHED.values())[number]
            least = list(FED.values())[number]
            medians: dict[str, float] = {}
            for loss in ("ce", "ldam"):
                name = f"{model}, {classes:,} classes, {loss}"
                try:
                    found = _trained(_task(sizes, model, classes, loss), store, sizes)
                except Exception as error:
                    note(name, "failed", first_line(error))
                    continue
                rates = {kind: Spread.of([s.rate for s in found[kind]]) for kind in found}
                note(f"{name}: synthetic", rates["synthetic"].text(0), "images/s")
                over = rates["loader"].median / published
                note(
                    f"{name}: fed",
                    rates["loader"].text(0),
                    f"images/s, {over:.2f} of the {published:,} published for one A100 "
                    f"(aim {_OVER_PUBLISHED:g})",
                )
                share = ratio(found["loader"], found["synthetic"])
                words = "met" if share.median >= least else "missed"
                note(f"{name}: fed / synthetic", share.text(3), f"{words}: at least {least}")
                medians[loss] = rates["synthetic"].median
            if len(medians) == 2:
                slower = medians["ldam"] / medians["ce"]
                note(f"{model}, {classes:,} classes: ldam / ce", f"{slower:.3f}", "at least 0.95")


def feeds(work: Path, sizes: Sizes, note: Note) -> None:
    """What feeds a step best: one model, our loader's settings in turn, beside synthetic."""
    store, model = the_store(work, sizes), sizes.models[0]
    step = TrainStep(_task(sizes, model, sizes.classes[0], "ce"))
    turns: dict[str, list[Turn]] = {name: [] for name in FEEDS}
    with ExitStack() as stack:
        opened = {
            name: stack.enter_context(closing(_feed(step.task, store, chosen)))
            for name, chosen in FEEDS.items()
        }
        for number in range(sizes.rounds):
            for name in list(FEEDS)[:: -1 if number % 2 else 1]:
                run(step, opened[name], sizes.warm)
                turns[name].append(run(step, opened[name], sizes.steps))
    ceiling = turns.pop("synthetic")
    for name, found in turns.items():
        share = Spread.of([a.rate / b.rate for a, b in zip(found, ceiling, strict=True)])
        waited = median(turn.waited / turn.seconds for turn in found)
        remark = f"of synthetic; {waited:.0%} of the time the host waits for the batch"
        note(f"{model}, {name}", share.text(3), remark)


FEEDS: dict[str, dict[str, Any] | None] = {
    "synthetic": None,
    "defaults": {},
    "all cores decode": {"threads": usable_cores()},
    "4 threads": {"threads": 4},
    "queue 2": {"decoder": DecoderOptions(queue_depth=2)},
    "queue 8": {"decoder": DecoderOptions(queue_depth=8)},
    "hw_load 1": {"decoder": DecoderOptions(hw_load=1.0)},
    "no fancy upsampling": {"decoder": DecoderOptions(fancy_upsampling=False)},
    "backend cpu": {"backend": "cpu", "threads": usable_cores()},
}
"""Fields of the loader's options, by what they are called; None for no loader."""


def _feed(task: Task, store: Path, chosen: dict[str, Any] | None) -> Batches:
    """Batches by the loader with some settings, or the same batch again and again."""
    if chosen is None:
        return feed("synthetic", task, store, 1)
    return feed("loader", task, store, **chosen)


def engines(work: Path, sizes: Sizes, note: Note) -> None:
    """DALI's pipelines: the crop decoded, against all of it decoded and cut on the device."""
    chosen, found = _work(work, sizes), dict[str, Contender]()
    for load in (0.0, 0.65, 0.99) if sizes.device != "cpu" else (0.0,):
        for whole in (False, True):
            what = "full decode, crop on the device" if whole else "region decode"
            found[f"DALI, {what}, hw_load {load}"] = Contender(
                lambda load=load, whole=whole: planned_dali(chosen, load, whole)
            )
    _race(work, "engines", found, sizes, note)


def profile(work: Path, sizes: Sizes, note: Note) -> None:
    """Where the time of fed steps goes: PyTorch's profiler, a table and a trace for each model."""
    from torch.profiler import ProfilerActivity
    from torch.profiler import profile as profiled

    store = the_store(work, sizes)
    kinds = [ProfilerActivity.CPU] + [ProfilerActivity.CUDA] * (sizes.device == "cuda")
    for model in sizes.models:
        step = TrainStep(_task(sizes, model, sizes.classes[0], "ce"))
        with closing(feed("loader", step.task, store, None)) as batches:
            run(step, batches, sizes.warm)
            with profiled(activities=kinds) as found:
                turn = run(step, batches, min(sizes.steps, 8))
        order = "self_cuda_time_total" if sizes.device == "cuda" else "self_cpu_time_total"
        text = found.key_averages().table(sort_by=order, row_limit=30)
        (work / f"profile-{model}.txt").write_text(text + "\n")
        found.export_chrome_trace(str(work / f"profile-{model}.json"))
        waiting = f"{turn.waited / turn.seconds:.1%}"
        note(f"{model}: waiting", waiting, f"profile-{model}.txt and .json")


STEPS: dict[str, tuple[Callable[[Path, Sizes, Note], None], float]] = {
    "machine": (machine, 120),
    "loader": (loader, 300),
    "train": (train, 300),
    "feeds": (feeds, 120),
    "tests": (tests, 180),
    "engines": (engines, 90),
    "profile": (profile, 90),
}
"""Steps in order of worth, and the seconds that each may take: 20 minutes in all."""


def _work(work: Path, sizes: Sizes) -> Work:
    store = Store.open(the_store(work, sizes))
    return Work(store, sizes.batch, sizes.side, sizes.threads, sizes.device)


def _race(
    work: Path, name: str, found: dict[str, Contender], sizes: Sizes, note: Note
) -> dict[str, list[Sample]]:
    """A race whose figures are noted, and whose turns are written to a CSV file."""
    samples, failed = race(found, sizes.rounds, sizes.seconds)
    for who, turns in samples.items():
        note(who, Spread.of([turn.rate for turn in turns]).text(0), "photos/s")
    for who, why in failed.items():
        note(who, "failed", why)
    write_csv(work / f"{name}.csv", {"gpu": samples})
    return samples


def _task(sizes: Sizes, model: str, classes: int, loss: str) -> Task:
    return Task(
        model,
        cast(LossName, loss),
        classes,
        sizes.batch,
        sizes.side,
        sizes.device,
        bf16=sizes.device == "cuda",
    )


def _trained(task: Task, store: Path, sizes: Sizes) -> dict[Feed, list[Sample]]:
    """Fed by the loader and by nothing, in turns on one model, the loader open all the time."""
    step, kinds = TrainStep(task), cast("tuple[Feed, ...]", ("synthetic", "loader"))
    found: dict[Feed, list[Sample]] = {kind: [] for kind in kinds}
    with ExitStack() as stack:
        opened = {
            kind: stack.enter_context(closing(feed(kind, task, store, None))) for kind in kinds
        }
        for number in range(sizes.rounds):
            for kind in kinds[:: -1 if number % 2 else 1]:
                run(step, opened[kind], sizes.warm)
                turn = run(step, opened[kind], sizes.steps)
                found[kind].append(Sample(turn.images, turn.seconds, turn.seconds))
    return found
