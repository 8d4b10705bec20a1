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
from dataclasses import dataclass, field
from itertools import count
from pathlib import Path
from typing import Any

import torch

from benchmarks.environment import describe
from benchmarks.samples import Sample, Spread, Target, table, write_csv
from benchmarks.stores import open_store, source_photos
from benchmarks.worker import WARM_UP, cpu_seconds
from glr_fast.data import LoaderOptions, open_loader
from glr_fast.data.plan import Plan, Samples
from glr_fast.data.shard_reader import ShardReader
from glr_fast.loader_options import DecoderOptions
from shard_tools.store.store import Store

BATCH, SIDE = 256, 224
DECODE, STEP = "bare nvImageCodec, full decode", "ResNet-50 training step (bf16)"
BASE = "loader: 8 threads, our defaults"


@dataclass(frozen=True)
class Setting:
    """How a loader is set up."""

    threads: int = 8
    decoder: DecoderOptions = field(default_factory=DecoderOptions)


def settings() -> dict[str, Setting]:
    """What is swept, one setting at a time."""

    def tuned(**changes: Any) -> Setting:
        return Setting(decoder=DecoderOptions(**changes))

    found = {BASE: Setting()}
    for load in (0.0, 0.3, 0.9, 0.99):
        found[f"hw_load {load}"] = tuned(hw_load=load)
    found["preallocate"] = tuned(preallocate=True)
    found["preallocate, hw_load 0.9"] = tuned(preallocate=True, hw_load=0.9)
    found["no fancy upsampling"] = tuned(fancy_upsampling=False)
    found["nothing reserved"] = tuned(pinned_mib=0, device_mib=0)
    for depth in (1, 3, 5):
        found[f"queue {depth}"] = tuned(queue_depth=depth)
    for threads in (2, 4, 16):
        found[f"threads {threads}"] = Setting(threads=threads)
    return found


def loader(
    store: Store, setting: Setting, device: str = "cuda", batch: int = BATCH, side: int = SIDE
) -> Iterator[int]:
    """Photos of each batch that our DALI backend puts on the device."""
    options = LoaderOptions(
        batch_size=batch,
        image_size=side,
        threads=setting.threads,
        backend="dali",
        decoder=setting.decoder,
    )
    with open_loader(store, "train", options, device=device) as opened:
        for batch_of_photos in opened.stream():
            yield len(batch_of_photos.rows)


def bare_decode(
    store: Store, region: bool, batch: int = BATCH, on_cpu: bool = False, engines: bool = True
) -> Iterator[int]:
    """nvImageCodec alone on the same bytes.

    Args:
        store: whose train split is decoded.
        region: decode the crops only.
        batch: photos that are handed over at a time.
        on_cpu: use no GPU.
        engines: use the JPEG engines where there are any.
    """
    from nvidia import nvimgcodec as codec

    plan, source = Plan(Samples.of_split(store, "train"), batch), ShardReader(store, "train")
    decoder = codec_decoder(on_cpu, engines)
    for step in count():
        photos = plan.batch(step)
        streams = [codec.CodeStream(e) for e in source.encoded(photos.rows)]  # pyright: ignore[reportAttributeAccessIssue]
        if region:
            streams = [
                s.get_sub_code_stream(region=codec.Region(t, left, t + h, left + w))  # pyright: ignore[reportAttributeAccessIssue]
                for s, (t, left, h, w) in zip(streams, photos.edits.boxes.tolist(), strict=True)
            ]
        yield sum(image is not None for image in decoder.decode(streams))


def codec_decoder(on_cpu: bool, engines: bool) -> Any:
    """A decoder of nvImageCodec on the CPU, on the GPU, or on the GPU without its engines."""
    from nvidia import nvimgcodec as codec

    kinds: Any = codec  # a compiled module without type stubs
    if on_cpu:
        device, names = kinds.NVIMGCODEC_DEVICE_CPU_ONLY, ["CPU_ONLY"]
    else:
        device = kinds.NVIMGCODEC_DEVICE_CURRENT
        names = ["HW_GPU_ONLY"] * engines + ["GPU_ONLY", "HYBRID_CPU_GPU", "CPU_ONLY"]
    backends = [kinds.Backend(getattr(kinds, name)) for name in names]
    return kinds.Decoder(device_id=device, max_num_cpu_threads=8, backends=backends)


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


def synchronise() -> None:
    """Wait until the GPU is done, where there is one."""
    if torch.cuda.is_available():
        torch.cuda.synchronize()


def turn(open_batches: Callable[[], Iterator[int]], seconds: float) -> Sample:
    """Open, warm up, measure, close. The clock is read when the GPU is done."""
    batches = open_batches()
    for _ in range(WARM_UP):
        next(batches)
    synchronise()
    photos, cpu, started = 0, cpu_seconds(), time.perf_counter()
    while time.perf_counter() - started < seconds:
        for _ in range(4):
            photos += next(batches)
        synchronise()
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
    contenders: dict[str, Callable[[], Iterator[int]]] = {
        DECODE: lambda: bare_decode(store, region=False),
        "bare nvImageCodec, only the crop": lambda: bare_decode(store, region=True),
        STEP: training_step,
    }
    for name, setting in settings().items():
        contenders[name] = lambda setting=setting: loader(store, setting)
    samples, failed = sweep(contenders, options.rounds, options.seconds, options.minutes)
    write_csv(options.out / "loader_gpu.csv", {"gpu": samples})
    text = report(samples, failed)
    (options.out / "loader_gpu.md").write_text(text + "\n")
    print(text)


if __name__ == "__main__":
    main()
