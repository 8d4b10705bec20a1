"""What feeds a training step on the GPU, and where its time goes: two steps of the first hour."""

from __future__ import annotations

import contextlib
import gzip
import json
from collections import defaultdict
from collections.abc import Iterable, Iterator
from contextlib import ExitStack, closing
from dataclasses import dataclass, field
from pathlib import Path
from statistics import median
from typing import Any

import torch

from benchmarks.gpu_sizes import Note, Sizes, task_of, the_store
from benchmarks.samples import Spread
from benchmarks.train_step import Batches, Task, TrainStep, Turn, feed, run
from glr_fast.data import usable_cores
from glr_fast.loader_options import DecoderOptions


@dataclass(frozen=True)
class Fed:
    """A way of feeding a step."""

    options: dict[str, Any] | None = field(default_factory=dict)
    """Fields of the loader's options; None for no loader, the same batch again and again."""
    first: bool = False
    """The model's kernels in a stream of high priority, so that they go before the decoder's."""


def _tuned(**changes: Any) -> dict[str, Any]:
    return {"decoder": DecoderOptions(**changes)}


FEEDS: dict[str, Fed] = {
    "synthetic": Fed(None),
    "defaults": Fed(),
    "defaults, model first": Fed(first=True),
    "hw_load 0.99": Fed(_tuned(hw_load=0.99)),
    "4 threads": Fed({"threads": 4}),
    "12 threads": Fed({"threads": 12}),
    "no fancy upsampling": Fed(_tuned(fancy_upsampling=False)),
    "backend cpu": Fed({"backend": "cpu", "threads": max(1, usable_cores() - 2)}),
}
"""Ways of feeding, by what they are called."""


def feeds(work: Path, sizes: Sizes, note: Note) -> None:
    """What feeds a step best: one model, our loader's settings in turn, beside synthetic."""
    store, model = the_store(work, sizes), sizes.models[0]
    step = TrainStep(task_of(sizes, model, sizes.classes[0], "ce"))
    turns: dict[str, list[Turn]] = {name: [] for name in FEEDS}
    with ExitStack() as stack:
        opened = {
            name: stack.enter_context(closing(_feed(step.task, store, way.options)))
            for name, way in FEEDS.items()
        }
        before = priority_stream(step.device)
        for number in range(sizes.rounds):
            for name in list(FEEDS)[:: -1 if number % 2 else 1]:
                with before if FEEDS[name].first else contextlib.nullcontext():
                    run(step, opened[name], sizes.warm)
                    turns[name].append(run(step, opened[name], sizes.steps))
    ceiling = turns["synthetic"]
    for name, found in turns.items():
        share = Spread.of([a.rate / b.rate for a, b in zip(found, ceiling, strict=True)])
        note(f"{model}, {name}", share.text(3), f"of synthetic; {paced(found)}")


def paced(turns: list[Turn]) -> str:
    """How evenly the steps came, in words."""
    waited = median(turn.waited / turn.seconds for turn in turns)
    p50, p99 = (Turn.joined(turns).percentile(share) * 1e3 for share in (0.5, 0.99))
    return (
        f"{waited:.0%} of the time the host waits for the batch; steps p50 {p50:.1f}, "
        f"p99 {p99:.1f} ms"
    )


def priority_stream(device: torch.device) -> contextlib.AbstractContextManager[Any]:
    """Within it kernels are launched in a stream that goes before others; nothing on a CPU."""
    if device.type != "cuda":
        return contextlib.nullcontext()
    return torch.cuda.stream(torch.cuda.Stream(device, priority=-1))


def _feed(task: Task, store: Path, chosen: dict[str, Any] | None) -> Batches:
    """Batches by the loader with some settings, or the same batch again and again."""
    if chosen is None:
        return feed("synthetic", task, store, 1)
    return feed("loader", task, store, **chosen)


#: What is profiled, of FEEDS.
PROFILED = ("synthetic", "defaults")


def profile(work: Path, sizes: Sizes, note: Note) -> None:
    """Where the time of fed steps goes: PyTorch's profiler, a table and a trace for each."""
    from torch.profiler import ProfilerActivity
    from torch.profiler import profile as profiled

    store = the_store(work, sizes)
    kinds = [ProfilerActivity.CPU] + [ProfilerActivity.CUDA] * (sizes.device == "cuda")
    order = "self_cuda_time_total" if sizes.device == "cuda" else "self_cpu_time_total"
    count = min(sizes.steps, 4)  # reading a trace takes longer than making it
    for model in sizes.models:
        step = TrainStep(task_of(sizes, model, sizes.classes[0], "ce"))
        for name in PROFILED:
            with closing(_feed(step.task, store, FEEDS[name].options)) as batches:
                run(step, batches, sizes.warm)
                with profiled(activities=kinds) as found:
                    turn = run(step, batches, count)
            stem = work / f"profile-{model}-{name.replace(' ', '-')}"
            text = found.key_averages().table(sort_by=order, row_limit=40)
            stem.with_suffix(".txt").write_text(text + "\n")
            trace = Path(f"{stem}.json.gz")
            found.export_chrome_trace(str(trace))
            with gzip.open(trace, "rt") as file:
                busy = Busy.of(json.load(file)["traceEvents"])
            waiting = f"{turn.waited / turn.seconds:.1%}"
            remark = f"{turn.seconds / count * 1e3:.1f} ms a step; {busy.text(count)}; {trace.name}"
            note(f"{model}, {name}: waiting", waiting, remark)
            for kernel, seconds in busy.heaviest:
                note(f"{model}, {name}: beside the model", f"{seconds / count * 1e3:.2f}", kernel)


@dataclass(frozen=True)
class Busy:
    """How long the GPU's streams were busy, seconds."""

    model: float
    """The stream that was busy longest: the model's."""
    idle: float
    """Between its first kernel and its last, when it had none running."""
    others: float
    """When at least one other stream was busy."""
    both: float
    """When the model's was busy, and another."""
    heaviest: list[tuple[str, float]]
    """Kernels of the other streams that took most: name, seconds of all its runs."""

    @classmethod
    def of(cls, events: Iterable[dict[str, Any]]) -> Busy:
        """From the events of a trace of PyTorch's profiler, whose times are in microseconds."""
        spans: dict[Any, list[tuple[float, float]]] = defaultdict(list)
        kernels: dict[Any, dict[str, float]] = defaultdict(lambda: defaultdict(float))
        for event in events:
            if event.get("cat") in ("kernel", "gpu_memcpy", "gpu_memset"):
                stream = event["args"].get("stream")
                spans[stream].append((event["ts"], event["ts"] + event["dur"]))
                kernels[stream][event["name"][:90]] += event["dur"] / 1e6
        merged = {stream: list(union(found)) for stream, found in spans.items()}
        if not merged:
            return cls(0, 0, 0, 0, [])
        main = max(merged, key=lambda stream: length(merged[stream]))
        rest = list(union(span for stream in merged if stream != main for span in merged[stream]))
        summed: dict[str, float] = defaultdict(float)
        for stream in kernels:
            for name, seconds in kernels[stream].items() if stream != main else ():
                summed[name] += seconds
        ours, whole = merged[main], merged[main][-1][1] - merged[main][0][0]
        together = length(ours) + length(rest) - length(list(union([*ours, *rest])))
        heaviest = sorted(summed.items(), key=lambda pair: -pair[1])[:8]
        return cls(
            length(ours) / 1e6,
            (whole - length(ours)) / 1e6,
            length(rest) / 1e6,
            together / 1e6,
            heaviest,
        )

    def text(self, steps: int) -> str:
        """In milliseconds a step."""
        parts = (self.model, self.idle, self.others, self.both)
        model, idle, others, both = (f"{part / steps * 1e3:.2f}" for part in parts)
        return f"GPU ms a step: model {model}, idle {idle}, decoder {others}, of it beside {both}"


def union(spans: Iterable[tuple[float, float]]) -> Iterator[tuple[float, float]]:
    """Spans of time that overlap or touch made one, in order."""
    begin = end = None
    for first, last in sorted(spans):
        if end is None or begin is None or first > end:
            if end is not None and begin is not None:
                yield begin, end
            begin, end = first, last
        else:
            end = max(end, last)
    if end is not None and begin is not None:
        yield begin, end


def length(spans: Iterable[tuple[float, float]]) -> float:
    """Their sum."""
    return sum(last - first for first, last in spans)
