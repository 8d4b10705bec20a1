"""The loader on a GPU: decoder settings swept, the bare decode rate, what ResNet-50 consumes.

    python -m benchmarks.bench_loader_gpu [--store STORE] [--out FOLDER]     # under ten minutes

NOT YET MEASURED: no GPU has run this so far. Prints "no GPU" where there is none. Without --store
it generates a few hundred photos of 800 x 600. One setting is changed at a time, everyone has five
turns in rounds, and a turn opens its own loader. Writes loader_gpu.md and loader_gpu.csv.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable, Iterator
from contextlib import closing
from dataclasses import dataclass, field, replace
from itertools import count
from pathlib import Path
from typing import Any

import torch

from benchmarks.environment import describe
from benchmarks.samples import Sample, Spread, Target, table, write_csv
from benchmarks.stores import open_store, source_photos
from benchmarks.worker import WARM_UP, cpu_seconds
from glr_fast.data.backends.base import Supply
from glr_fast.data.bad_photos import BadPhotos
from glr_fast.data.plan import Plan, Samples
from glr_fast.data.shard_reader import ShardReader
from shard_tools.store.store import Store

BATCH, SIDE = 256, 224
DECODE, STEP = "bare nvImageCodec, full decode", "ResNet-50 training step (bf16)"
BASE = "loader: 8 threads, queue 2, DALI's defaults"


@dataclass(frozen=True)
class Setting:
    """How a loader is set up."""

    threads: int = 8
    queue_depth: int = 2
    decoder: dict[str, Any] = field(default_factory=dict)


def settings(largest: tuple[int, int]) -> dict[str, Setting]:
    """What is swept, one setting at a time.

    Args:
        largest: width and height that no photo of the store exceeds, in pixels.
    """
    base = Setting()
    hints = {"preallocate_width_hint": largest[0], "preallocate_height_hint": largest[1]}
    found = {BASE: base}
    for load in (0.0, 0.3, 0.9, 0.99):
        found[f"hw_decoder_load {load}"] = replace(base, decoder={"hw_decoder_load": load})
    found["preallocation hints"] = replace(base, decoder=hints)
    both = {**hints, "hw_decoder_load": 0.9}
    found["preallocation hints, hw_decoder_load 0.9"] = replace(base, decoder=both)
    for depth in (1, 3, 5):
        found[f"queue {depth}"] = replace(base, queue_depth=depth)
    for threads in (2, 4, 16):
        found[f"threads {threads}"] = replace(base, threads=threads)
    return found


def loader(store: Store, setting: Setting) -> Iterator[int]:
    """Photos of each batch that our DALI backend puts on the GPU."""
    from glr_fast.data.backends.dali import DaliBackend

    plan = Plan(Samples.of_split(store, "train"), BATCH)
    source = ShardReader(store, "train")
    backend = DaliBackend(
        Supply(source, BadPhotos(store, plan, None, 0)),
        BATCH,
        SIDE,
        torch.device("cuda"),
        setting.threads,
        queue_depth=setting.queue_depth,
        decoder_options=setting.decoder,
    )
    with closing(backend), closing(backend.decode(plan.batch(k) for k in count())) as batches:
        for batch, _ in batches:
            yield len(batch)


def bare_decode(store: Store, region: bool) -> Iterator[int]:
    """nvImageCodec alone on the same bytes, with whatever engines it finds."""
    from nvidia import nvimgcodec

    plan, source = Plan(Samples.of_split(store, "train"), BATCH), ShardReader(store, "train")
    decoder = nvimgcodec.Decoder(max_num_cpu_threads=8)  # pyright: ignore[reportAttributeAccessIssue]
    for step in count():
        batch = plan.batch(step)
        streams = [nvimgcodec.CodeStream(e) for e in source.encoded(batch.rows)]  # pyright: ignore[reportAttributeAccessIssue]
        if region:
            streams = [
                s.get_sub_code_stream(region=nvimgcodec.Region(t, left, t + h, left + w))  # pyright: ignore[reportAttributeAccessIssue]
                for s, (t, left, h, w) in zip(streams, batch.edits.boxes.tolist(), strict=True)
            ]
        yield sum(image is not None for image in decoder.decode(streams))


def training_step(classes: int = 81_313) -> Iterator[int]:
    """ResNet-50 with the head of the full data set, on images that are there already."""
    import timm

    model = timm.create_model("resnet50", num_classes=classes).cuda()
    model = model.to(memory_format=torch.channels_last)  # pyright: ignore[reportCallIssue]
    optimizer = torch.optim.SGD(model.parameters(), lr=0.01, momentum=0.9)
    images = torch.randn(BATCH, 3, SIDE, SIDE, device="cuda")
    images = images.contiguous(memory_format=torch.channels_last)
    labels = torch.randint(classes, (BATCH,), device="cuda")
    while True:
        with torch.autocast("cuda", torch.bfloat16):
            loss = torch.nn.functional.cross_entropy(model(images), labels)
        loss.backward()
        optimizer.step()
        optimizer.zero_grad(set_to_none=True)
        yield BATCH


def turn(open_batches: Callable[[], Iterator[int]], seconds: float) -> Sample:
    """Open, warm up, measure, close. The clock is read when the GPU is done."""
    batches = open_batches()
    for _ in range(WARM_UP):
        next(batches)
    torch.cuda.synchronize()
    photos, cpu, started = 0, cpu_seconds(), time.perf_counter()
    while time.perf_counter() - started < seconds:
        for _ in range(4):
            photos += next(batches)
        torch.cuda.synchronize()
    sample = Sample(photos, time.perf_counter() - started, cpu_seconds() - cpu)
    batches.close()  # pyright: ignore[reportAttributeAccessIssue] - all are generators
    return sample


def sweep(
    contenders: dict[str, Callable[[], Iterator[int]]], rounds: int, seconds: float, minutes: float
) -> tuple[dict[str, list[Sample]], dict[str, str]]:
    """Everyone in turn, round after round, while there is time for another round.

    Returns:
        Samples by contender, and why those that failed did.
    """
    samples: dict[str, list[Sample]] = {name: [] for name in contenders}
    failed: dict[str, str] = {}
    started = time.monotonic()
    for number in range(rounds):
        if (time.monotonic() - started) * (number + 1) > minutes * 60 * max(number, 1):
            print(f"no time for round {number + 1}", flush=True)
            break
        for name, open_batches in contenders.items():
            if name in failed:
                continue
            try:
                samples[name].append(turn(open_batches, seconds))
            except Exception as error:
                failed[name] = str(error).splitlines()[0]
    return {name: turns for name, turns in samples.items() if name not in failed}, failed


def report(samples: dict[str, list[Sample]], failed: dict[str, str]) -> str:
    """The page."""
    loaders = tuple(name for name in samples if name not in (DECODE, STEP) and "bare" not in name)
    targets = (
        Target("fastest loader / ResNet-50 step", loaders, (STEP,), 1.5),
        Target("fastest loader / bare full decode", loaders, (DECODE,), 0.85),
    )
    rates = {name: Spread.of([s.rate for s in turns]) for name, turns in samples.items()}
    rows = [[name, spread.text(0)] for name, spread in rates.items()]
    verdicts = []
    for target in targets:
        judged = target.judge(samples)
        found = [judged[0].text(2), judged[1]] if judged else ["not measured", "open"]
        verdicts.append([target.text, f"{target.least:g}", *found])
    wrong = "\n".join(f"- {name}: {why}" for name, why in failed.items()) or "None."
    return "\n\n".join(
        [
            "# The loader on a GPU",
            table(["what", "photos/s: median (least to most)"], rows),
            table(["ratio", "target", "found", ""], verdicts),
            f"Failed:\n\n{wrong}",
            describe(),
        ]
    )


def main() -> None:
    """Sweep, judge, write; the table comes last."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--store", type=Path, help="a store whose train split has photos enough")
    parser.add_argument("--out", type=Path, default=Path("runs/bench_loader_gpu"))
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--seconds", type=float, default=1.5)
    parser.add_argument("--minutes", type=float, default=7, help="no new round after this")
    options = parser.parse_args()
    if not torch.cuda.is_available():
        print("no GPU")
        return
    options.out.mkdir(parents=True, exist_ok=True)
    path = options.store or open_store("original", source_photos(options.out, True)[0], options.out)
    store = Store.open(path)
    known = Samples.of_split(store, "train")
    largest = int(known.widths.max()), int(known.heights.max())
    contenders: dict[str, Callable[[], Iterator[int]]] = {
        DECODE: lambda: bare_decode(store, region=False),
        "bare nvImageCodec, only the crop": lambda: bare_decode(store, region=True),
        STEP: training_step,
    }
    for name, setting in settings(largest).items():
        contenders[name] = lambda setting=setting: loader(store, setting)
    samples, failed = sweep(contenders, options.rounds, options.seconds, options.minutes)
    write_csv(options.out / "loader_gpu.csv", {"gpu": samples})
    text = report(samples, failed)
    (options.out / "loader_gpu.md").write_text(text + "\n")
    print(text)


if __name__ == "__main__":
    main()
