"""The steps of the first hour on a GPU; benchmarks/first_gpu_hour.py runs each in its own process.

A step is a function of its sizes that returns rows: (what, figure, unit or verdict). It calls
``note`` after every row, so that a step that is cut short leaves what it had.
"""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import closing
from dataclasses import dataclass, replace
from itertools import count
from pathlib import Path
from typing import Any, cast

import numpy as np

from benchmarks import bench_loader_gpu as sweep
from benchmarks.environment import describe, repository
from benchmarks.stores import open_store, source_photos
from benchmarks.train_step import Task, TrainStep, fed, feed, run
from glr_fast.data.plan import Plan, Samples
from glr_fast.data.shard_reader import ShardReader
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
    threads: int = 8
    seconds: float = 1.5
    """Least time of a turn."""
    steps: int = 40
    """Training steps that are measured."""
    warm: int = 10
    rounds: int = 3
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
    return Path(given) if given else open_store("original", photos, work)


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
    """The loader's settings, one changed at a time."""
    store = Store.open(the_store(work, sizes))
    for name, setting in list(sweep.settings().items())[: sizes.settings]:
        chosen = setting if name != sweep.BASE else replace(setting, threads=sizes.threads)
        _rate(
            note,
            name,
            lambda chosen=chosen: sweep.loader(
                store, chosen, sizes.device, sizes.batch, sizes.side
            ),
            sizes,
        )


def decode(work: Path, sizes: Sizes, note: Note) -> None:
    """The bare decoder: all of the photo, the crop only, with and without the JPEG engines."""
    store = Store.open(the_store(work, sizes))
    on_cpu = sizes.device == "cpu"
    for engines in (True, False):
        for region in (False, True):
            part, state = "crop only" if region else "full", "on" if engines else "off"
            what = f"{part}, engines {state}"
            _rate(
                note,
                f"nvImageCodec, {what}",
                lambda region=region, engines=engines: sweep.bare_decode(
                    store, region, sizes.batch, on_cpu, engines
                ),
                sizes,
            )


def train(work: Path, sizes: Sizes, note: Note) -> None:
    """Fed over synthetic: both models, few and many classes, both losses."""
    store = the_store(work, sizes)
    for classes in sizes.classes:
        for number, model in enumerate(sizes.models):
            published = list(PUBLISHED.values())[number]
            least = list(FED.values())[number]
            for loss in ("ce", "ldam"):
                name = f"{model}, {classes:,} classes, {loss}"
                try:
                    found = _trained(_task(sizes, model, classes, loss), store, sizes)
                except Exception as error:
                    note(name, "failed", _first_line(error))
                    continue
                share = found["loader"] / found["synthetic"]
                words = "met" if share >= least else "missed"
                note(f"{name}: synthetic", f"{found['synthetic']:,.0f}", "images/s")
                ratio = found["loader"] / published
                note(
                    f"{name}: fed",
                    f"{found['loader']:,.0f}",
                    f"images/s, {ratio:.2f} of the {published:,} published for one A100 "
                    f"(aim {_OVER_PUBLISHED:g})",
                )
                note(f"{name}: fed / synthetic", f"{share:.3f}", f"{words}: at least {least}")


def engines(work: Path, sizes: Sizes, note: Note) -> None:
    """DALI's pipelines: the crop decoded, against all of it decoded and cut on the device."""
    store = Store.open(the_store(work, sizes))
    for load in (0.0, 0.65, 0.99) if sizes.device != "cpu" else (0.0,):
        for whole in (False, True):
            what = "full decode, crop on the device" if whole else "region decode"
            _rate(
                note,
                f"DALI, {what}, hw_load {load}",
                lambda load=load, whole=whole: _pipeline(store, sizes, load, whole),
                sizes,
            )


def profile(work: Path, sizes: Sizes, note: Note) -> None:
    """Where the time of fed steps goes: PyTorch's profiler, a table and a trace for each model."""
    from torch.profiler import ProfilerActivity
    from torch.profiler import profile as profiled

    store = the_store(work, sizes)
    kinds = [ProfilerActivity.CPU] + [ProfilerActivity.CUDA] * (sizes.device == "cuda")
    for model in sizes.models:
        step = TrainStep(_task(sizes, model, sizes.classes[0], "ce"))
        with closing(feed("loader", step.task, store, sizes.threads)) as batches:
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
    "machine": (machine, 150),
    "tests": (tests, 240),
    "loader": (loader, 240),
    "decode": (decode, 90),
    "train": (train, 480),
    "engines": (engines, 150),
    "profile": (profile, 120),
}
"""Steps in order of worth, and the seconds that each may take: 24.5 minutes in all."""


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


def _trained(task: Task, store: Path, sizes: Sizes) -> dict[str, float]:
    """Images per second by feed, in turns; the median of the rounds."""
    step = TrainStep(task)
    rates: dict[str, list[float]] = {"synthetic": [], "loader": []}
    for _ in range(sizes.rounds):
        for kind, each in rates.items():
            turn = fed(step, cast(Any, kind), store, sizes.threads, sizes.steps, sizes.warm)
            each.append(turn.rate)
    return {kind: float(np.median(each)) for kind, each in rates.items()}


def _rate(note: Note, name: str, open_batches: Callable[[], Iterator[int]], sizes: Sizes) -> None:
    """Photos per second over some turns; a failure is a row too."""
    try:
        turns = [sweep.turn(open_batches, sizes.seconds).rate for _ in range(sizes.rounds)]
    except Exception as error:
        note(name, "failed", _first_line(error))
        return
    note(name, f"{np.median(turns):,.0f}", f"photos/s ({min(turns):,.0f} to {max(turns):,.0f})")


def _first_line(error: Exception) -> str:
    return f"{type(error).__name__}: {error}".splitlines()[0][:200]


def _pipeline(store: Store, sizes: Sizes, load: float, whole: bool) -> Iterator[int]:
    """Photos of each batch through a DALI pipeline that decodes all of a photo, or its crop."""
    from nvidia.dali import fn, types
    from nvidia.dali.pipeline import Pipeline

    plan, source = Plan(Samples.of_split(store, "train"), sizes.batch), ShardReader(store, "train")
    steps, held = count(), []

    def inputs() -> tuple[Any, ...]:
        batch = plan.batch(next(steps))
        start, shape = (np.ascontiguousarray(part) for part in np.split(batch.edits.boxes, 2, 1))
        held.append((source.encoded(batch.rows), start, shape))
        del held[:-8]  # DALI reads them where they are
        return held[-1]

    gpu = sizes.device == "cuda"
    where = "mixed" if gpu else "cpu"
    how: dict[str, Any] = {"hw_decoder_load": load} if gpu else {}
    kinds = [types.DALIDataType.UINT8, *[types.DALIDataType.INT32] * 2]
    pipeline = Pipeline(
        batch_size=sizes.batch, num_threads=sizes.threads, device_id=0 if gpu else None
    )
    with pipeline:
        given: Any = fn.external_source(
            source=inputs, num_outputs=3, batch=True, no_copy=True, ndim=[1, 1, 1], dtype=kinds
        )
        encoded, start, shape = given
        if whole:
            images: Any = fn.decoders.image(encoded, device=where, **how)
            images = fn.slice(images, start=start, shape=shape, axis_names="HW")
        else:
            images = fn.decoders.image_slice(
                encoded, start=start, shape=shape, axis_names="HW", device=where, **how
            )
        pipeline.set_outputs(cast(Any, fn.resize(images, size=(sizes.side, sizes.side))))
    pipeline.build()
    while True:
        (images,) = pipeline.run()
        yield len(images)
