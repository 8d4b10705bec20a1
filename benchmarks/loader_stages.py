"""Where the time of our CPU backend goes, and the ways of decoding and resizing that were tried.

One thread, the photos and crops of our plan, each stage on its own: what the loader would cost if
nothing but its stages took time. bench_loader puts :func:`section` into its page.

    python -m benchmarks.loader_stages STORE
"""

from __future__ import annotations

import resource
import sys
import time
from collections import deque
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from statistics import median
from typing import Any

import cv2
import numpy as np
import simplejpeg
from PIL import Image

from benchmarks.samples import table
from benchmarks.worker import WARM_UP
from glr_fast.data import LoaderOptions, open_loader
from glr_fast.data.backends.jpeg_regions import decode_region, make_decoder
from glr_fast.data.backends.resample import resize_antialiased
from glr_fast.data.plan import BatchPlan, Plan, Samples
from glr_fast.data.shard_reader import ShardReader
from shard_tools.store.store import Store

BATCH, REPETITIONS, SIDE = 256, 3, 224

#: One at a time: photos that are kept would take fresh memory, whose page faults no loader has.
Crops = Iterable[np.ndarray]


class Bench:
    """One batch of a store, its pieces ready for every stage."""

    def __init__(self, path: Path) -> None:
        cv2.setNumThreads(1)
        store = Store.open(path)
        self.plan = Plan(Samples.of_split(store, "train"), BATCH)
        self.batch: BatchPlan = self.plan.batch(0)
        self.source = ShardReader(store, "train")
        self.encoded = self.source.encoded(self.batch.rows)
        self.decoder = make_decoder()
        self.out = np.zeros((BATCH, SIDE, SIDE, 3), np.uint8)
        self.crops = list(self.regions())

    def regions(self) -> Crops:
        """Every crop, only its region decoded."""
        boxes = zip(self.encoded, self.batch.edits.boxes, strict=True)
        found = (decode_region(self.decoder, encoded, box) for encoded, box in boxes)
        return (crop for crop in found if crop is not None)

    def full(self) -> Crops:
        """Every crop, cut out of the whole photo."""
        return (
            simplejpeg.decode_jpeg(encoded, "RGB")[top : top + height, left : left + width]
            for encoded, (top, left, height, width) in self._boxes()
        )

    def scaled(self) -> Crops:
        """Every crop from the smallest power-of-two reduction that is still large enough."""
        for encoded, box in self._boxes():
            factor = 2 if min(box[2:]) >= 2 * SIDE else 1
            height, width = (int(n) for n in simplejpeg.decode_jpeg_header(encoded)[:2])
            photo = simplejpeg.decode_jpeg(
                encoded, "RGB", min_height=height // factor, min_width=width // factor
            )
            top, left, height, width = (n // factor for n in box)
            yield photo[top : top + height, left : left + width]

    def resize(self, crops: Crops, how: Callable[[np.ndarray, np.ndarray], Any]) -> None:
        """Resize crops into the batch."""
        for crop, out in zip(crops, self.out, strict=True):
            how(crop, out)

    def flip(self) -> None:
        """Flip those that the plan flips."""
        for image in self.out[self.batch.edits.flips]:
            cv2.flip(image, 1, dst=image)

    def difference(self, make: Callable[[], Any]) -> float:
        """Mean difference of a batch to PIL's antialiased BILINEAR, in levels of 255."""
        make()
        size, kind = (SIDE, SIDE), Image.Resampling.BILINEAR
        wanted = [np.asarray(Image.fromarray(crop).resize(size, kind)) for crop in self.crops]
        return float(np.abs(np.stack(wanted).astype(np.int16) - self.out).mean())

    def _boxes(self) -> list[tuple[np.ndarray, list[int]]]:
        return list(zip(self.encoded, self.batch.edits.boxes.tolist(), strict=True))


def area(crop: np.ndarray, out: np.ndarray) -> None:
    """OpenCV's box filter."""
    cv2.resize(crop, (SIDE, SIDE), dst=out, interpolation=cv2.INTER_AREA)


def linear(crop: np.ndarray, out: np.ndarray) -> None:
    """OpenCV's two taps: aliased."""
    cv2.resize(crop, (SIDE, SIDE), dst=out, interpolation=cv2.INTER_LINEAR)


def pil(crop: np.ndarray, out: np.ndarray) -> None:
    """PIL's antialiased triangle."""
    out[...] = np.asarray(Image.fromarray(crop).resize((SIDE, SIDE), Image.Resampling.BILINEAR))


def time_all(ways: Mapping[str, Callable[[], Any]]) -> dict[str, list[float]]:
    """Seconds of each, interleaved, by round; the first round is thrown away."""
    seconds: dict[str, list[float]] = {name: [] for name in ways}
    for _ in range(REPETITIONS + 1):
        for name, way in ways.items():
            started = time.thread_time()
            way()
            seconds[name].append(time.thread_time() - started)
    return {name: each[1:] for name, each in seconds.items()}


def faults(way: Callable[[], Any]) -> float:
    """Page faults per photo."""
    before = resource.getrusage(resource.RUSAGE_THREAD).ru_minflt
    way()
    return (resource.getrusage(resource.RUSAGE_THREAD).ru_minflt - before) / BATCH


def stages(bench: Bench) -> str:
    """The table of stages."""
    steps = iter(range(1, 1 + REPETITIONS + 2))
    ways: dict[str, Callable[[], Any]] = {
        "plan: order, crops, flips": lambda: bench.plan.batch(next(steps, 1)),
        "source: views of the bytes": lambda: bench.source.encoded(bench.batch.rows),
        "decode: the crop's region": lambda: deque(bench.regions(), 0),
        "resize: Gaussian, then linear": lambda: bench.resize(bench.crops, resize_antialiased),
        "flip": bench.flip,
    }
    found = time_all(ways)
    total = sum(median(each) for each in found.values())
    rows = [
        [
            name,
            f"{median(s) / BATCH * 1e6:,.0f}",
            f"{median(s) / total:.0%}",
            f"{faults(ways[name]):.1f}",
        ]
        for name, s in found.items()
    ]
    rows.append(["sum", f"{total / BATCH * 1e6:,.0f}", "100%", ""])
    return table(["stage", "CPU microseconds a photo", "share", "page faults a photo"], rows)


def whole(path: Path) -> str:
    """One line on the loader as a whole: what its stages do not explain is threads and Python."""
    with open_loader(
        path, "train", LoaderOptions(batch_size=BATCH, threads=2, backend="cpu")
    ) as loader:
        batches = loader.stream()
        for _ in range(WARM_UP):
            next(batches)
        before, started = resource.getrusage(resource.RUSAGE_SELF), time.perf_counter()
        for _ in range(WARM_UP):
            next(batches)
        after, took = resource.getrusage(resource.RUSAGE_SELF), time.perf_counter() - started
    photos = WARM_UP * BATCH
    user, system = after.ru_utime - before.ru_utime, after.ru_stime - before.ru_stime
    return (
        f"The loader as a whole, two threads: {(user + system) / photos * 1e6:,.0f} CPU "
        f"microseconds a photo, {system / (user + system):.0%} of them in the system, "
        f"{(after.ru_minflt - before.ru_minflt) / photos:.1f} page faults a photo; "
        f"{(user + system) / took:.2f} of 2 cores busy."
    )


def variants(bench: Bench) -> str:
    """The table of ways to decode and resize, against the bare full decode."""
    resizers = {
        "": None,
        "INTER_AREA": area,
        "INTER_LINEAR": linear,
        "Gaussian + INTER_LINEAR": resize_antialiased,
    }
    decoders = {
        "full": bench.full,
        "scaled by 2 where that is enough": bench.scaled,
        "region": bench.regions,
    }
    ways: dict[str, Callable[[], Any]] = {}
    for how, decode in decoders.items():
        for kind, resize in resizers.items():
            ways[f"{how}|{kind or 'none'}"] = (
                (lambda d=decode: deque(d(), 0))
                if resize is None
                else lambda d=decode, r=resize: bench.resize(d(), r)
            )
    ways["region|PIL BILINEAR"] = lambda: bench.resize(bench.regions(), pil)
    found = time_all(ways)
    base = found["full|none"]
    rows = []
    for name, seconds in found.items():
        how, kind = name.split("|")
        share = median(b / s for b, s in zip(base, seconds, strict=True))
        distance = "" if kind == "none" else f"{bench.difference(ways[name]):.1f}"
        rows.append([how, kind, f"{BATCH / median(seconds):,.0f}", f"{share:.2f}", distance])
    header = ["decode", "resize", "photos per CPU second", "share of full decode"]
    return table([*header, "mean difference to PIL, levels"], rows)


def section(stores: Mapping[str, Path]) -> str:
    """Both tables of each store, as part of a page."""
    parts = [
        "## Where the time goes\n\nOne thread, a batch of 256, each stage alone, CPU time "
        f"(median of {REPETITIONS}).",
    ]
    benches = {kind: Bench(path) for kind, path in stores.items()}
    for kind, bench in benches.items():
        parts.append(f"`{kind}`:\n\n{stages(bench)}\n\n{whole(stores[kind])}")
    parts.append(
        "## Variants tried\n\nThe same batch, one thread, interleaved. The one in use is region + "
        "Gaussian + INTER_LINEAR; region + INTER_LINEAR is faster and aliased, so rejected."
    )
    parts += [f"`{kind}`:\n\n{variants(bench)}" for kind, bench in benches.items()]
    return "\n\n".join(parts)


if __name__ == "__main__":
    print(section({Path(path).name: Path(path) for path in sys.argv[1:]}))
