"""How fast photos are packed, against tar, webdataset's ShardWriter and the bare codec.

    python -m benchmarks.bench_build [--copies 32 12] [--repeats 5] [--work DIR]

Packs the 512 photos of landmarks13 several times over under other ids, every way in turn in each
repetition. Whole commands are timed, from start to exit; the two loops written here, without their
imports. "cold" means that the photos' pages were dropped from the cache before.
Writes benchmarks/results/build.md.

This file is long because it holds every contender of one benchmark: splitting them would hide the
comparison.
"""

from __future__ import annotations

import argparse
import hashlib
import os
import shutil
import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from pathlib import Path

from benchmarks.environment import describe, repository
from glr_fast.data import usable_cores

PHOTOS = repository().parent / "shared/data/landmarks13"
RESULT = Path("benchmarks/results/build.md")
SHORT, QUALITY, SHARD_SIZE = 256, 90, 1024
SMALL_SHARD = 256
"""Of resized photos: they take 40 times as long, and the last shard of a build is packed alone."""
MOST_WORKERS = usable_cores()
DEFAULTS = f"build with the defaults, {MOST_WORKERS} workers"


@dataclass(frozen=True)
class Bench:
    """Where things are, and how many."""

    source: Path
    out: Path
    files: tuple[Path, ...]
    bytes: int

    @classmethod
    def prepare(cls, work: Path, copies: int) -> Bench:
        """Copy the photos; the first letter of an id tells the copies apart."""
        source = work / "source"
        lines = (PHOTOS / "train.csv").read_text().split()
        wanted = len(lines[1:]) * copies
        if not source.is_dir() or len(list(source.rglob("*.jpg"))) != wanted:
            shutil.rmtree(source, ignore_errors=True)
            source.mkdir(parents=True)
            rows = [line.split(",") for line in lines[1:]]
            marked = [
                (f"{copy:02x}{key}", key, label) for copy in range(copies) for key, label in rows
            ]
            text = "\n".join(["id,landmark_id", *(f"{new},{label}" for new, _, label in marked)])
            (source / "train.csv").write_text(text + "\n")
            for new, key, _ in marked:
                to = source / "train" / new[0] / new[1] / new[2] / f"{new}.jpg"
                to.parent.mkdir(parents=True, exist_ok=True)
                shutil.copy(PHOTOS / "train" / key[0] / key[1] / key[2] / f"{key}.jpg", to)
            os.sync()
        files = tuple(sorted(source.rglob("*.jpg")))
        return cls(source, work / "out", files, sum(file.stat().st_size for file in files))

    def remember(self) -> None:
        """Have all photos in the cache of this machine, as a method may find them."""
        for file in self.files:
            file.read_bytes()

    def forget(self) -> None:
        """Drop the photos' pages from the cache of this machine, and no others."""
        for file in self.files:
            descriptor = os.open(file, os.O_RDONLY)
            os.posix_fadvise(descriptor, 0, 0, os.POSIX_FADV_DONTNEED)
            os.close(descriptor)


def command(bench: Bench, words: Sequence[str]) -> float:
    """Seconds of wall time of a command."""
    start = time.perf_counter()
    subprocess.run(words, check=True, cwd=bench.source, stdout=subprocess.DEVNULL)
    return time.perf_counter() - start


def tar(bench: Bench) -> float:
    """``tar cf`` of the photos; what it wrote may still be in memory when it ends."""
    bench.out.mkdir()
    return command(bench, ["tar", "cf", str(bench.out / "photos.tar"), "train"])


def tar_synced(bench: Bench) -> float:
    """``tar cf``, then ``sync`` of that file: as safe as what a build leaves."""
    bench.out.mkdir()
    file = bench.out / "photos.tar"
    return command(bench, ["sh", "-c", f"tar cf {file} train && sync {file}"])


def shard_writer(bench: Bench) -> float:
    """webdataset's ShardWriter: read a photo, write it with its label. One process, no sync."""
    from webdataset.writer import ShardWriter

    bench.out.mkdir()
    start = time.perf_counter()
    with ShardWriter(f"{bench.out}/%06d.tar", maxcount=SHARD_SIZE, verbose=0) as writer:
        for file in bench.files:
            writer.write({"__key__": file.stem, "jpg": file.read_bytes(), "cls": 7})
    return time.perf_counter() - start


def build(bench: Bench, workers: int, *options: str) -> float:
    """``glr-shard build``, all of it."""
    words = [str(Path(sys.executable).with_name("glr-shard")), "build", "--source"]
    words += [str(bench.source), "--out", str(bench.out), "--workers", str(workers)]
    return command(bench, [*words, *options])


def pack(bench: Bench, workers: int, *options: str, size: int = SHARD_SIZE) -> float:
    """The same, but it does not look for duplicates: one pass over the photos."""
    return build(bench, workers, "--duplicates", "keep", "--shard-size", str(size), *options)


def bare(file: Path) -> int:
    """Decode, resize, encode with the same libraries and settings, and nothing else."""
    import numpy as np
    import simplejpeg
    from PIL import Image

    from shard_tools.photos.decode import _SPARE
    from shard_tools.photos.prepare import target_size

    data = file.read_bytes()
    height, width = (int(side) for side in simplejpeg.decode_jpeg_header(data)[:2])
    size = target_size(width, height, SHORT)
    least = [int(side * _SPARE) for side in size]
    pixels = simplejpeg.decode_jpeg(data, "RGB", min_width=least[0], min_height=least[1])
    if (width, height) == size:
        return len(data)
    small = Image.fromarray(pixels).resize(size, Image.Resampling.BICUBIC)
    return len(simplejpeg.encode_jpeg(np.asarray(small), QUALITY, "RGB", "420", fastdct=False))


def bare_all(bench: Bench, workers: int) -> float:
    """The bare codec in as many processes, which have started when the clock does."""
    with ProcessPoolExecutor(workers) as pool:
        list(pool.map(bare, bench.files[: 8 * workers]))
        start = time.perf_counter()
        list(pool.map(bare, bench.files, chunksize=64))
        return time.perf_counter() - start


def cold(method: Callable[[Bench], float]) -> Callable[[Bench], float]:
    """The same, with photos that are not in the cache."""

    def run(bench: Bench) -> float:
        bench.forget()
        return method(bench)

    return run


def methods() -> dict[str, Callable[[Bench], float]]:
    """Every way of packing, by the name it has in the report."""
    found: dict[str, Callable[[Bench], float]] = {
        "tar cf": tar,
        "tar cf, then sync": tar_synced,
        "webdataset ShardWriter": shard_writer,
    }
    for check in ("full", "header"):
        for workers in sorted({1, MOST_WORKERS}):
            found[f"build --check {check}, {workers} workers"] = (
                lambda bench, workers=workers, check=check: pack(bench, workers, "--check", check)
            )
    found[DEFAULTS] = lambda bench: build(bench, MOST_WORKERS, "--shard-size", str(SHARD_SIZE))
    found["cold: tar cf"] = cold(tar)
    for check in ("full", "header"):
        found[f"cold: build --check {check}, {MOST_WORKERS} workers"] = cold(
            lambda bench, check=check: pack(bench, MOST_WORKERS, "--check", check)
        )
    for workers in sorted({1, MOST_WORKERS}):
        found[f"bare codec to {SHORT}, {workers} processes"] = lambda bench, workers=workers: (
            bare_all(bench, workers)
        )
        found[f"build --resize-short {SHORT}, {workers} workers"] = lambda bench, workers=workers: (
            pack(bench, workers, "--resize-short", str(SHORT), size=SMALL_SHARD)
        )
    return found


def profile(bench: Bench) -> dict[str, float]:
    """Microseconds per photo of each step of packing, one at a time, in one process."""
    from shard_tools.photos.prepare import PhotoOptions, prepare
    from shard_tools.store.shard import photo_digest, tar_member

    data = [file.read_bytes() for file in bench.files[:512]]
    full, trusting = PhotoOptions(), PhotoOptions(check="header")
    bench.out.mkdir()
    with open(bench.out / "x", "wb") as file:
        steps: dict[str, Callable[[int], object]] = {
            "read the file": lambda i: bench.files[i].read_bytes(),
            "parse its header": lambda i: prepare(data[i], trusting),
            "decode it as a check": lambda i: prepare(data[i], full),
            "headers of two tar members": lambda i: [tar_member("k.jpg", data[i])] * 2,
            "digest of the photo": lambda i: photo_digest(data[i]),
            "sha256 of the tar": lambda i: hashlib.sha256(data[i]).digest(),
            "write to the page cache": lambda i: file.write(data[i]),
        }
        found = {}
        for name, step in steps.items():
            start = time.perf_counter()
            for place in range(len(data)):
                step(place)
            found[name] = (time.perf_counter() - start) / len(data) * 1e6
    shutil.rmtree(bench.out)
    found["decode it as a check"] -= found["parse its header"]
    return found


def report(
    bench: Bench, packed: dict[str, int], seconds: dict[str, list[float]], steps: dict[str, float]
) -> str:
    """The page of results; ``packed`` is how many photos each way had to do."""
    photos, fewer = len(bench.files), min(packed.values())
    rates = {name: [packed[name] / s for s in times] for name, times in seconds.items()}
    middle = {name: statistics.median(rate) for name, rate in rates.items()}
    rows = [
        f"| {name} | {middle[name]:,.0f} | {min(rate):,.0f} to {max(rate):,.0f} "
        f"| {middle[name] * bench.bytes / photos / 1e6:,.0f} |"
        for name, rate in rates.items()
    ]
    n = MOST_WORKERS

    def ratio(one: str, other: str) -> str:
        each = [a / b for a, b in zip(rates[one], rates[other], strict=True)]
        return f"{statistics.median(each):.2f} ({min(each):.2f} to {max(each):.2f})"

    pairs = [
        (f"build --check full, {n} workers", "tar cf", "0.8"),
        (f"build --check header, {n} workers", "tar cf", "0.8"),
        (f"build --check header, {n} workers", "tar cf, then sync", ""),
        (f"cold: build --check full, {n} workers", "cold: tar cf", "0.8"),
        (f"cold: build --check header, {n} workers", "cold: tar cf", "0.8"),
        (f"build --check full, {n} workers", "webdataset ShardWriter", "1.3"),
        (f"build --check header, {n} workers", "webdataset ShardWriter", "1.3"),
        (
            f"build --resize-short {SHORT}, {n} workers",
            f"bare codec to {SHORT}, {n} processes",
            "0.9",
        ),
        (f"build --resize-short {SHORT}, 1 workers", f"bare codec to {SHORT}, 1 processes", "0.9"),
        (DEFAULTS, f"build --check full, {n} workers", ""),
        ("build --check header, 1 workers", "tar cf", ""),
        (f"build --check full, {n} workers", "build --check full, 1 workers", ""),
        (f"build --check header, {n} workers", "build --check header, 1 workers", ""),
        (
            f"build --resize-short {SHORT}, {n} workers",
            f"build --resize-short {SHORT}, 1 workers",
            "",
        ),
    ]
    ratios = [f"| {a} | {b} | {ratio(a, b)} | {want} |" for a, b, want in pairs]
    spent = [f"| {name} | {micro:,.0f} |" for name, micro in steps.items()]
    repeats = len(next(iter(seconds.values())))
    return f"""# Packing photos

{photos:,} photos of {bench.bytes / photos / 1000:.0f} kB, {bench.bytes / 1e6:,.0f} MB: landmarks13
{photos // 512} times under other ids; {fewer:,} of them to resize. Every way in turn, {repeats}
times; median, least and most.
Builds and tar are whole commands from start to exit; a build also lists, plans, writes an index and
tables, and syncs every file to disk, which tar and ShardWriter do not. Builds pass over the photos
once (`--duplicates keep`), but for the one with the defaults: that looks for duplicates before.

| what | photos/s | spread | MB/s |
|---|---|---|---|
{chr(10).join(rows)}

Ratios within each repetition: median, least and most.

| | against | ratio | target |
|---|---|---|---|
{chr(10).join(ratios)}

Where the time goes, in one process, microseconds per photo:

| step | µs |
|---|---|
{chr(10).join(spent)}

{describe()} Load average at the end: {os.getloadavg()[1]:.1f} over 5 minutes.

Written by `python -m benchmarks.bench_build`.
"""


def main() -> None:
    """Measure in turn, write."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument(
        "--copies",
        type=int,
        nargs=2,
        default=[32, 12],
        help="of the 512 photos, to pack as they are and to resize",
    )
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--work", type=Path, default=Path("runs/bench_build"))
    parser.add_argument("--result", type=Path, default=RESULT)
    options = parser.parse_args()
    if not PHOTOS.is_dir():
        sys.exit(f"{PHOTOS}: not here; it holds the photos")
    work = options.work.resolve()
    names = ("originals", "resized")
    originals, resized = (
        Bench.prepare(work / name, copies)
        for name, copies in zip(names, options.copies, strict=True)
    )
    seconds: dict[str, list[float]] = {name: [] for name in methods()}
    for repeat in range(options.repeats):
        for name, method in methods().items():
            bench = resized if str(SHORT) in name else originals
            shutil.rmtree(bench.out, ignore_errors=True)
            bench.remember()
            seconds[name].append(method(bench))
            shutil.rmtree(bench.out, ignore_errors=True)
            os.sync()  # what is left to write must not be paid by the next
            print(f"{repeat} {name}: {len(bench.files) / seconds[name][-1]:,.0f}/s", flush=True)
    photos = {name: len((resized if str(SHORT) in name else originals).files) for name in seconds}
    options.result.write_text(report(originals, photos, seconds, profile(originals)))
    print(f"written to {options.result}")


if __name__ == "__main__":
    main()
