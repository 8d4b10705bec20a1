"""What options of the training do to the speed of a step on the GPU: a step of the first hour."""

from __future__ import annotations

import time
from contextlib import ExitStack, closing
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch

from benchmarks.gpu_race import first_line
from benchmarks.gpu_sizes import Note, Sizes, task_of
from benchmarks.samples import Spread
from benchmarks.train_step import TrainStep, feed, run

PLAIN = "bf16, channels last"

CASES: dict[str, dict[str, Any]] = {
    PLAIN: {},
    "compiled": {"compiled": True},
    "float32 (TF32)": {"bf16": False},
    "channels first": {"channels_last": False},
}
"""Fields of :class:`~benchmarks.train_step.Task` that are changed, by what that is called."""


def options(work: Path, sizes: Sizes, note: Note) -> None:
    """Both models on synthetic batches, one option changed at a time, in turns."""
    for model in sizes.models:
        plain = task_of(sizes, model, sizes.classes[0], "ce")
        steps: dict[str, TrainStep] = {}
        rates: dict[str, list[float]] = {}
        with ExitStack() as stack:
            batches = stack.enter_context(closing(feed("synthetic", plain, work)))
            for name, changed in CASES.items():
                began = time.perf_counter()
                try:
                    steps[name] = TrainStep(replace(plain, **changed))
                    run(steps[name], batches, sizes.warm)
                except Exception as error:
                    note(f"{model}, {name}", "failed", first_line(error))
                    steps.pop(name, None)
                    continue
                if changed.get("compiled"):
                    took = time.perf_counter() - began
                    note(f"{model}: compilation and first steps", f"{took:.0f}", "s")
            for number in range(sizes.rounds):
                for name in list(steps)[:: -1 if number % 2 else 1]:
                    run(steps[name], batches, 1)
                    rate = run(steps[name], batches, sizes.steps).rate
                    rates.setdefault(name, []).append(rate)
        for name, found in rates.items():
            over = [a / b for a, b in zip(found, rates[PLAIN], strict=True)]
            rate = Spread.of(found).text(0)
            note(f"{model}, {name}", Spread.of(over).text(3), f"of {PLAIN}; {rate} images/s")
        steps.clear()
        if sizes.device == "cuda":
            torch.cuda.empty_cache()
