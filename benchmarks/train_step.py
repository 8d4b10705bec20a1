"""A training step as the trainer does it, and what can feed it: the engine of the benchmarks."""

from __future__ import annotations

import time
from collections.abc import Callable, Generator, Iterator
from contextlib import closing, nullcontext
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import Any, Literal, cast

import numpy as np
import torch
from torch import Tensor, nn
from torch.utils.data import DataLoader

from benchmarks.peers import Job
from glr_fast import models
from glr_fast.config import OptimConfig
from glr_fast.data import LoaderOptions, normalise, open_loader
from glr_fast.gpu_settings import apply_gpu_settings
from glr_fast.losses import build_loss
from glr_fast.model_config import LossConfig, LossName, ModelConfig
from glr_fast.optim import build_optimizer

Feed = Literal["loader", "synthetic", "webdataset"]
Batches = Generator[tuple[Tensor, Tensor]]


@dataclass(frozen=True)
class Task:
    """What a step does."""

    model: str
    """A timm model."""
    loss: LossName = "ce"
    classes: int = 1000
    batch_size: int = 16
    image_size: int = 224
    device: str = "cpu"
    bf16: bool = False
    channels_last: bool = True
    compiled: bool = False


class TrainStep:
    """Forward, backward and update on one device, with nothing read back."""

    def __init__(self, task: Task) -> None:
        torch.manual_seed(0)
        self.task, self.device = task, torch.device(task.device)
        apply_gpu_settings(self.device)
        model = models.build_model(ModelConfig(name=task.model, pretrained=False), task.classes)
        layout = torch.channels_last if task.channels_last else torch.contiguous_format
        model = cast(Any, model).to(self.device, memory_format=layout)
        model.train()
        self.optimizer = build_optimizer(OptimConfig(), model)
        loss = build_loss(LossConfig(name=task.loss), long_tail(task.classes), 1.0)
        self.loss = loss.to(self.device)
        self.model = cast(nn.Module, torch.compile(model)) if task.compiled else model

    def __call__(self, images: Tensor, labels: Tensor) -> None:
        """One update; uint8 images (B, 3, H, W) and int64 labels (B,) on any device."""
        images = images.to(self.device, non_blocking=True)
        labels = labels.to(self.device, non_blocking=True)
        kind = self.device.type
        with torch.autocast(kind, torch.bfloat16) if self.task.bf16 else nullcontext():
            inputs = normalise(images)
            if not self.task.channels_last:
                inputs = inputs.contiguous()
            logits = self.model(inputs)
        loss = self.loss(logits, labels)
        loss.backward()
        torch.nn.utils.clip_grad_norm_(self.model.parameters(), 1.0)
        self.optimizer.step()
        self.optimizer.zero_grad(set_to_none=True)


def long_tail(classes: int) -> Tensor:
    """Photos per class as they fall off in GLDv2: a power of the rank. Shape (classes,), int64."""
    rank = torch.arange(1, classes + 1, dtype=torch.float64)
    return (6272 * rank**-0.6).clamp(min=2).round().long()


def feed(
    kind: Feed, task: Task, store: Path, workers: int | None = None, **options: Any
) -> Batches:
    """Batches of uint8 images and labels without end.

    Args:
        kind: ``loader`` is ours, ``synthetic`` gives the same batch again and again, ``webdataset``
            is that library and a DataLoader.
        task: says their size and device.
        store: whose train split is read.
        workers: decoding threads or worker processes; None for the loader's default.
        options: more fields of our loader's options.
    """
    if kind == "loader":
        return _loader(task, store, **{"threads": workers} | options)
    return _synthetic(task) if kind == "synthetic" else _webdataset(task, store, workers or 1)


def _loader(task: Task, store: Path, **options: Any) -> Batches:
    chosen = LoaderOptions(batch_size=task.batch_size, image_size=task.image_size, **options)
    with open_loader(store, "train", chosen, device=task.device) as loader:
        for batch in loader.stream():
            yield batch.images, batch.labels


def _synthetic(task: Task) -> Batches:
    generator = torch.Generator().manual_seed(0)
    shape = task.batch_size, task.image_size, task.image_size, 3
    images = torch.randint(0, 256, shape, dtype=torch.uint8, generator=generator)
    labels = torch.randint(0, task.classes, shape[:1], generator=generator)
    images, labels = images.to(task.device).permute(0, 3, 1, 2), labels.to(task.device)
    while True:
        yield images, labels


def _webdataset(task: Task, store: Path, workers: int) -> Batches:
    from webdataset.compat import WebDataset

    from benchmarks.peers.imagefolder_pil import pil_transform

    job = Job(store, store, task.batch_size, task.image_size)
    shards = [str(path) for path in sorted(store.glob("train-*.tar"))]
    dataset: Any = WebDataset(shards, shardshuffle=len(shards))
    dataset = (
        dataset.repeat()
        .shuffle(100)
        .decode("pil")
        .to_tuple("jpg", "cls")
        .map_tuple(pil_transform(job))
    )
    pinned = task.device != "cpu"
    loader = DataLoader(
        dataset.batched(task.batch_size, partial=False),
        batch_size=None,
        num_workers=workers,
        pin_memory=pinned,
    )
    for images, labels in loader:
        yield images, torch.as_tensor(np.asarray(labels), dtype=torch.int64)


@dataclass
class Turn:
    """Some steps in a row."""

    images: int
    seconds: float
    waited: float
    """Seconds in which the step waited for its batch."""
    steps: list[float]
    """Seconds of each step, with its wait. On a GPU those between the ends of two steps there."""

    @property
    def rate(self) -> float:
        """Images per second."""
        return self.images / self.seconds

    @classmethod
    def joined(cls, turns: list[Turn]) -> Turn:
        """Several turns as one."""
        steps = [step for turn in turns for step in turn.steps]
        seconds, waited = sum(turn.seconds for turn in turns), sum(turn.waited for turn in turns)
        return cls(sum(turn.images for turn in turns), seconds, waited, steps)

    def percentile(self, share: float) -> float:
        """Seconds that a share of the steps do not exceed."""
        return float(np.quantile(self.steps, share))


def run(step: Callable[[Tensor, Tensor], None], batches: Batches, count: int) -> Turn:
    """Do some steps; the clock is read when the device is done."""
    gpu = torch.cuda.is_available() and getattr(step, "device", torch.device("cpu")).type == "cuda"
    synchronise = torch.cuda.synchronize if gpu else (lambda: None)
    synchronise()
    images, waited, ends = 0, 0.0, [_mark(gpu)]
    started = time.perf_counter()
    for _ in range(count):
        before = time.perf_counter()
        photos, labels = next(batches)
        waited += time.perf_counter() - before
        step(photos, labels)
        images += len(photos)
        ends.append(_mark(gpu))
    synchronise()
    seconds = time.perf_counter() - started
    return Turn(images, seconds, waited, list(_between(ends)))


def fed(step: TrainStep, kind: Feed, store: Path, workers: int, count: int, warm: int) -> Turn:
    """One feed alone: open it, warm up, measure, close it."""
    with closing(feed(kind, step.task, store, workers)) as batches:
        run(step, batches, warm)
        return run(step, batches, count)


def _mark(gpu: bool) -> Any:
    if not gpu:
        return time.perf_counter()
    event = torch.cuda.Event(enable_timing=True)
    event.record()
    return event


def _between(ends: list[Any]) -> Iterator[float]:
    for before, after in pairwise(ends):
        yield after - before if isinstance(after, float) else before.elapsed_time(after) / 1000
