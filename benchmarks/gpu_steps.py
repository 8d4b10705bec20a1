"""The steps of the first hour on a GPU; benchmarks/first_gpu_hour.py runs each in its own process.

A step is a function of the work folder, its sizes and ``note``, which it calls with each figure:
(what, figure, unit or verdict). A step that is cut short leaves what it had.
"""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable
from contextlib import ExitStack, closing
from pathlib import Path
from typing import cast

from benchmarks.environment import describe, repository
from benchmarks.gpu_contenders import Work, contenders, planned_dali, targets
from benchmarks.gpu_feeds import feeds, paced, profile
from benchmarks.gpu_options import options
from benchmarks.gpu_race import Contender, first_line, race
from benchmarks.gpu_sizes import TINY, Note, Sizes, task_of, the_store
from benchmarks.samples import Sample, Spread, write_csv
from benchmarks.train_step import Feed, Task, TrainStep, Turn, feed, run
from shard_tools.store import Store

__all__ = ["STEPS", "TINY", "Sizes"]

#: Published for one A100 with bf16 or TF32 and DALI (NVIDIA's DeepLearningExamples), images/s.
PUBLISHED = {"resnet50": 2470, "efficientnet_b0": 2489}
#: Fed over synthetic, at least.
FED = {"resnet50": 0.97, "efficientnet_b0": 0.95}
_OVER_PUBLISHED = 1.3


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
                    found = _trained(task_of(sizes, model, classes, loss), store, sizes)
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
                pairs = zip(found["loader"], found["synthetic"], strict=True)
                share = Spread.of([fed.rate / free.rate for fed, free in pairs])
                words = "met" if share.median >= least else "missed"
                said = f"{words}: at least {least}; {paced(found['loader'])}"
                note(f"{name}: fed / synthetic", share.text(3), said)
                medians[loss] = rates["synthetic"].median
            if len(medians) == 2:
                slower = medians["ldam"] / medians["ce"]
                note(f"{model}, {classes:,} classes: ldam / ce", f"{slower:.3f}", "at least 0.95")


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


STEPS: dict[str, tuple[Callable[[Path, Sizes, Note], None], float]] = {
    "machine": (machine, 90),
    "feeds": (feeds, 150),
    "train": (train, 300),
    "tests": (tests, 180),
    "loader": (loader, 200),
    "profile": (profile, 90),
    "engines": (engines, 60),
    "options": (options, 130),
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


def _trained(task: Task, store: Path, sizes: Sizes) -> dict[Feed, list[Turn]]:
    """Fed by the loader and by nothing, in turns on one model, the loader open all the time."""
    step, kinds = TrainStep(task), cast("tuple[Feed, ...]", ("synthetic", "loader"))
    found: dict[Feed, list[Turn]] = {kind: [] for kind in kinds}
    with ExitStack() as stack:
        opened = {
            kind: stack.enter_context(closing(feed(kind, task, store, None))) for kind in kinds
        }
        for number in range(sizes.rounds):
            for kind in kinds[:: -1 if number % 2 else 1]:
                run(step, opened[kind], sizes.warm)
                found[kind].append(run(step, opened[kind], sizes.steps))
    return found
