"""What a run says: progress bar or log lines, ``metrics.jsonl``, and Accelerate's trackers."""

from __future__ import annotations

import json
import math
import shlex
import sys
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from accelerate import Accelerator
from tqdm import tqdm

from glr_fast.checkpoint import METRICS
from glr_fast.config import Config
from glr_fast.progress import in_words

__all__ = ["METRICS", "Logbook", "Timer", "forget_after"]


class Timer:
    """Seconds spent in named spans since the last ``read``. Host time: nothing is synchronised."""

    def __init__(self) -> None:
        self._start = time.perf_counter()
        self._spans: dict[str, float] = {}

    @contextmanager
    def span(self, name: str) -> Iterator[None]:
        """Count the block's time under ``name``."""
        start = time.perf_counter()
        yield
        self._spans[name] = self._spans.get(name, 0.0) + time.perf_counter() - start

    def read(self) -> tuple[float, dict[str, float]]:
        """Seconds since the last read, seconds per span; then starts over."""
        now = time.perf_counter()
        passed, spans = now - self._start, self._spans
        self._start, self._spans = now, {}
        return passed, spans


class Logbook:
    """One line of figures at a time, to all who read them; only the main process writes."""

    def __init__(
        self,
        accelerator: Accelerator,
        run: Path,
        total_steps: int,
        step: int,
        evaluated: bool = True,
    ) -> None:
        self._accelerator = accelerator
        self._file = run / METRICS
        self._began, self._first = time.perf_counter(), step
        main = accelerator.is_main_process
        self._terminal = main and sys.stderr.isatty()
        self._bar = tqdm(
            total=total_steps, initial=step, disable=not self._terminal, unit="step", leave=True
        )
        if main:
            forget_after(self._file, step, evaluated)

    def say(self, text: str) -> None:
        """A line for the person who watches."""
        if self._terminal:
            self._bar.write(text, file=sys.stderr)
        elif self._accelerator.is_main_process:
            print(text, file=sys.stderr, flush=True)

    def record(self, step: int, figures: Mapping[str, Any]) -> None:
        """Write figures of a step to the file and the trackers."""
        if self._accelerator.is_main_process:
            with open(self._file, "a") as file:
                file.write(_json({"step": step, **figures}) + "\n")
        self._accelerator.log(dict(figures), step=step)

    def train(self, step: int, total: int, figures: Mapping[str, float]) -> None:
        """Write the training figures of a step, and show them on the bar or as a line."""
        self.record(step, figures)
        shown = {
            "loss": f"{figures['train/loss']:.4f}",
            "accuracy": f"{figures['train/accuracy']:.3f}",
            "images/s": f"{figures['throughput(images/s)']:.1f}",
        }
        if self._terminal:
            self._bar.set_postfix(shown, refresh=False)
            return
        text = "  ".join(f"{name} {value}" for name, value in shown.items())
        rate = f"lr {figures['train/lr']:.2e}  waiting for data {figures['data_wait(%)']:.0f}%"
        left = f"  {in_words(self._left(step, total))} left" if step < total else ""
        self.say(f"step {step}/{total}  epoch {figures['epoch']:.2f}  {text}  {rate}{left}")

    def _left(self, step: int, total: int) -> float:
        """Seconds to the last step at the rate so far, evaluations and checkpoints included."""
        passed = time.perf_counter() - self._began
        return passed / max(1, step - self._first) * (total - step)

    def validation(self, step: int, total: int, figures: Mapping[str, Any], better: bool) -> None:
        """Write the figures of an evaluation, nested ones as ``val/accuracy_many``."""
        flat = {f"val/{key}": value for key, value in figures.items() if isinstance(value, float)}
        for band, values in figures["by_frequency"].items():
            if values["accuracy"] is not None:
                flat[f"val/accuracy_{band}"] = values["accuracy"]
        self.record(step, flat)
        self.say(
            f"step {step}/{total}  validation: accuracy {figures['accuracy']:.4f}  macro F1 "
            f"{figures['macro_f1']:.4f}  loss {figures['loss']:.4f}"
            f"{'  (best so far)' if better else ''}"
        )

    def opening(self, config: Config, num_classes: int, step: int, done: bool) -> None:
        """Say what is about to run, and where."""
        accelerator = self._accelerator
        count = accelerator.num_processes
        self.say(
            f"{config.model.name}, {config.loss.name}, {num_classes} classes; {count} "
            f"process{'es' if count > 1 else ''} on {accelerator.device.type}, precision "
            f"{accelerator.mixed_precision}; global batch {config.data.batch_size} x "
            f"{config.optim.accumulate_steps}; run folder {config.out}"
        )
        if done:
            self.say(f"already finished at step {step}; nothing to do")
        elif step:
            self.say(f"continuing from step {step}")

    def stopped(self, cause: str, step: int, run: Path) -> None:
        """Say that a run was asked to stop, has saved and ends."""
        self.say(
            f"stopped by {cause} at step {step}, with a checkpoint in {run}; continue with the "
            "same command and --resume"
        )

    def closing(self, config: Config, summary: Mapping[str, Any]) -> None:
        """Say how it ended, how long it took, and what may be typed next."""
        took = f"took {in_words(summary['seconds'])}"
        if self._first:  # resumed: what came before took its own time
            took = f"the steps from {self._first} on {took}"
        if summary["best"] is None:
            best = "nothing was evaluated; the last weights are kept as the best"
        else:
            name = str(summary["monitor"]).replace("_", " ").replace("f1", "F1")
            epoch = ""
            if summary["best_step"] is not None:
                epoch = f" at step {summary['best_step']} of {summary['step']}"
            best = f"best validation {name} {summary['best']:.4f}{epoch}"
        self.say(f"{best}; {took}; weights in {config.out / 'best'}")
        if config.tracker == "tensorboard":
            self.say(f"curves: tensorboard --logdir {shlex.quote(str(config.out / 'logs'))}")
        self.say(f"next: glr-evaluate --run {shlex.quote(str(config.out))} --split val")

    def advance(self) -> None:
        """One step done."""
        self._bar.update()

    def close(self, failed: bool = False) -> None:
        """Finish the bar and the trackers; and the process group, but for a run that failed.

        To end the group after an error of one process can hang (NCCL), before the error is shown.
        """
        self._bar.close()
        if not failed:
            self._accelerator.end_training()
            return
        for tracker in self._accelerator.trackers:
            tracker.finish()


def forget_after(file: Path, step: int, evaluated: bool = True) -> None:
    """Drop what a stopped run wrote after its last checkpoint, and will write again.

    Args:
        file: ``metrics.jsonl``.
        step: of the checkpoint; lines of later steps go.
        evaluated: whether the evaluation of that very step is done; else its line goes too.
    """
    if not file.is_file():
        return
    kept = []
    for line in file.read_text().splitlines():
        try:
            figures = json.loads(line)
            again = not evaluated and any(name.startswith("val/") for name in figures)
            if figures["step"] < step or (figures["step"] == step and not again):
                kept.append(line + "\n")
        except (ValueError, KeyError, TypeError):  # cut off in mid-line
            continue
    temporary = file.with_name(f".{file.name}.tmp")
    try:
        temporary.write_text("".join(kept))
        temporary.replace(file)
    finally:
        temporary.unlink(missing_ok=True)


def _json(figures: Mapping[str, Any]) -> str:
    """Figures as JSON, which knows neither NaN nor infinity: those become null."""
    finite = {
        name: None if isinstance(value, float) and not math.isfinite(value) else value
        for name, value in figures.items()
    }
    return json.dumps(finite, allow_nan=False)
