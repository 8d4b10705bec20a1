"""Plan, index and open a store of the true size, 1,580,470 photos of 81,313 landmarks, and tenfold.

    python -m benchmarks.bench_scale [--rows 158047 1580470 15804700] [--work DIR] [--tree]

Only the photos' bytes are missing: their names and labels are made up after the true class counts
(../shared/data/glr2020/class_counts.csv), and go through the code that builds a store from them.
Each group of stages runs in a process of its own, which reports seconds and peak memory. Writes
benchmarks/results/scale.md and scale.png.

This file is long because its stages share one set of timings and make one measurement.
"""

from __future__ import annotations

import argparse
import json
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from pyarrow import csv

from benchmarks.environment import describe, repository

COUNTS = repository().parent / "shared/data/glr2020/class_counts.csv"
RESULT = Path("benchmarks/results/scale.md")
FULL = 1_580_470
SHARD_SIZE = 2048
GIB = 2**30

Times = dict[str, float]


@contextmanager
def timed(times: Times, name: str) -> Iterator[None]:
    """Add the seconds of a block to ``times``."""
    start = time.perf_counter()
    yield
    times[name] = times.get(name, 0.0) + time.perf_counter() - start


def peak_gib() -> float:
    """Peak resident memory of this program so far, in GiB.

    (``getrusage`` counts what the process that started it had, too.)
    """
    status = Path("/proc/self/status").read_text()
    line = next(line for line in status.splitlines() if line.startswith("VmHWM"))
    return int(line.split()[1]) * 1024 / GIB


def fixed(rows: np.ndarray) -> pa.Array:
    """Byte rows of shape (strings, length), uint8, as a string array."""
    count, length = rows.shape
    offsets = np.arange(count + 1, dtype=np.int32) * np.int32(length)
    buffers = [pa.py_buffer(offsets), pa.py_buffer(np.ascontiguousarray(rows))]
    return pa.StringArray.from_buffers(count, *buffers)


def synthesise(work: Path, rows: int) -> None:
    """``train.csv``, and ``files.parquet``: the sorted paths that a walk would find."""
    table = csv.read_csv(COUNTS)
    counts = table["images"].to_numpy()
    ids = np.repeat(table["landmark_id"].to_numpy(), counts)
    random = np.random.default_rng(0)
    labels = random.permutation(np.resize(ids[:: max(FULL // rows, 1)], rows))
    numbers = np.sort(random.integers(0, 2**64 - 1, rows, np.uint64))
    digits = np.frombuffer(b"0123456789abcdef", np.uint8)
    nibbles = numbers.astype(">u8").view(np.uint8).reshape(rows, 8)
    keys = digits[np.stack([nibbles >> 4, nibbles & 15], axis=2).reshape(rows, 16)]
    slash, suffix = np.full((rows, 1), ord("/"), np.uint8), np.frombuffer(b".jpg", np.uint8)
    parts = [part for place in range(3) for part in (keys[:, place : place + 1], slash)]
    paths = np.concatenate([*parts, keys, np.broadcast_to(suffix, (rows, 4))], axis=1)
    csv.write_csv(pa.table({"id": fixed(keys), "landmark_id": labels}), work / "train.csv")
    pq.write_table(pa.table({"path": fixed(paths)}), work / "files.parquet")


def plan_stages(work: Path, times: Times) -> None:
    """From label file and listing to shard plan, the tasks of all workers, tables and manifest."""
    from shard_tools.build.builder import plan_digest
    from shard_tools.build.classes import subset
    from shard_tools.build.options import BuildOptions
    from shard_tools.build.packing import pack_tasks
    from shard_tools.build.plan import make_plan
    from shard_tools.build.splits import DEFAULT_FRACTIONS, assign_splits
    from shard_tools.build.tables import write_tables
    from shard_tools.build.work_folder import WorkFolder
    from shard_tools.sources.join import join_labels
    from shard_tools.sources.labels import read_labels
    from shard_tools.sources.layout import SourceOptions
    from shard_tools.sources.readers import FolderReader
    from shard_tools.sources.records import Listing

    listing = Listing(pq.read_table(work / "files.parquet"), FolderReader(str(work)))
    options = BuildOptions(source=work, out=work / "store", shard_size=SHARD_SIZE)
    with timed(times, "read labels"):
        table = read_labels(work / "train.csv")
    with timed(times, "records and classes"):
        records = join_labels("kaggle", listing, table, "train.csv", None, SourceOptions())
        records = subset(records, options)
    keys = records.photos["key"]
    with timed(times, "split"):
        ids = records.classes["landmark_id"]
        splits = assign_splits(keys, records.labels, ids, DEFAULT_FRACTIONS, options.seed)
    with timed(times, "shards"):
        plan = make_plan(keys, splits, options.seed, SHARD_SIZE)
        digest = plan_digest(options, records, plan)
    with timed(times, "tasks of workers"):
        for task in pack_tasks(options, records, plan, plan.shards):
            task()
    times["peak memory until here (GiB)"] = peak_gib()
    results = [made_up(records, plan, shard) for shard in plan.shards]
    store = WorkFolder(options.out, digest)
    with timed(times, "records of finished shards"):
        for result in results:
            store.record(result)
    with timed(times, "tables and manifest"):
        write_tables(options, records, results, results)
    store.remove()


def made_up(records: Any, plan: Any, shard: Any) -> Any:
    """What packing a shard would report, for photos of made-up sizes."""
    from shard_tools.build.shard_writer import ROWS_SCHEMA, PackResult
    from shard_tools.store.manifest import ShardInfo

    rows = plan.order[shard.start : shard.stop]
    random = np.random.default_rng(int(rows[0]))
    sizes = random.integers(20_000, 180_000, len(rows))
    blocks = -(-sizes // 512) * 512 + 3 * 512
    columns = [
        records.photos["key"].take(pa.array(rows)).combine_chunks(),
        records.labels[rows],
        np.cumsum(blocks) - blocks + 512,
        sizes,
        random.integers(400, 1600, len(rows)),
        random.integers(400, 1600, len(rows)),
        pa.FixedSizeBinaryArray.from_buffers(
            pa.binary(16), len(rows), [None, pa.py_buffer(random.bytes(16 * len(rows)))]
        ),
    ]
    table = pa.table(columns, names=ROWS_SCHEMA.names).cast(ROWS_SCHEMA)
    total = int(blocks.sum()) + 1024
    info = ShardInfo(shard.name, shard.split, len(rows), total, "0" * 64, "0" * 64)
    return PackResult(info, table, ())


def index_stages(work: Path, times: Times) -> None:
    """``glr-shard index --policy balanced``: one epoch with all that is read for it; and two."""
    from shard_tools.sampling.index_files import IndexOptions, write_index

    for epochs in (1, 2):
        name = f"bench-{epochs}"
        with timed(times, f"balanced index, {epochs} epoch{'s' * (epochs > 1)}"):
            write_index(work / "store", IndexOptions("balanced", epochs, 0, name))
        shutil.rmtree(work / "store" / "index" / name)


def open_stages(work: Path, times: Times) -> None:
    """What each rank of a training run does before its first batch."""
    from glr_fast.data.plan import Plan, Samples
    from glr_fast.data.shard_reader import ShardReader
    from shard_tools.store.store import Store

    before = peak_gib()
    with timed(times, "open for training"):
        store = Store.open(work / "store")
        samples = Samples.of_split(store, "train")
        ShardReader(store, "train")
    times["memory of an open store (GiB)"] = peak_gib() - before
    with timed(times, "order of a balanced epoch"):
        Plan(samples, batch_size=256, policy="balanced").order(0)


def tree_stages(work: Path, times: Times) -> None:
    """A walk through a real folder of that many (empty) files, in memory."""
    from shard_tools.sources.folder import list_files

    paths = pq.read_table(work / "files.parquet")["path"]
    with tempfile.TemporaryDirectory(dir="/dev/shm") as folder:
        made: set[str] = set()
        for path in paths.to_pylist():
            file = f"{folder}/{path}"
            parent = file[: -len("0123456789abcdef.jpg") - 1]
            if parent not in made:
                Path(parent).mkdir(parents=True)
                made.add(parent)
            with open(file, "x"):
                pass
        with timed(times, "walk through the folder"):
            list_files(Path(folder))


STAGES: dict[str, Callable[[Path, Times], None]] = {
    "plan": plan_stages,
    "index": index_stages,
    "open": open_stages,
    "tree": tree_stages,
}


def run(group: str, work: Path) -> Times:
    """Run a group of stages in a process of its own."""
    command = [sys.executable, "-m", "benchmarks.bench_scale", "--group", group, "--work", work]
    words = [str(word) for word in command]
    done = subprocess.run(words, check=True, capture_output=True, text=True, cwd=repository())
    return json.loads(done.stdout.splitlines()[-1])


def measure(rows: int, work: Path, tree: bool) -> dict[str, Times]:
    """All groups of stages at one size."""
    folder = work / str(rows)
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    synthesise(folder, rows)
    groups = [group for group in STAGES if tree or group != "tree"]
    found = {group: run(group, folder) for group in groups}
    shutil.rmtree(folder)
    return found


PLANNING = ("read labels", "records and classes", "split", "shards", "tasks of workers")
FINISHING = ("records of finished shards", "tables and manifest")


def planning(times: dict[str, Times]) -> float:
    """Seconds of everything but walking through the folder, packing and index files."""
    return sum(times["plan"][name] for name in (*PLANNING, *FINISHING))


def draw(results: dict[int, dict[str, Times]], file: Path) -> None:
    """Seconds against rows, both logarithmic, with a line of proportional growth."""
    from matplotlib import pyplot

    figure, axes = pyplot.subplots(figsize=(7, 4.5), layout="constrained")
    sizes = sorted(results)
    lines = {
        "planning and tables": [planning(results[n]) for n in sizes],
        "balanced index, 1 epoch": [results[n]["index"]["balanced index, 1 epoch"] for n in sizes],
        "open for training": [results[n]["open"]["open for training"] for n in sizes],
    }
    for name, seconds in lines.items():
        axes.loglog(sizes, seconds, marker="o", label=name)
        for x, y in zip(sizes, seconds, strict=True):
            axes.annotate(f"{y:.2g} s", (x, y), xytext=(0, 6), textcoords="offset points", size=8)
    middle = lines["planning and tables"][len(sizes) // 2]
    slope = [middle * n / sizes[len(sizes) // 2] for n in sizes]
    axes.loglog(sizes, slope, color="grey", linestyle=":", label="proportional to photos")
    axes.set(xlabel="photos", ylabel="seconds", title="Planning, indexing and opening a store")
    axes.legend()
    figure.savefig(file, dpi=110)


def report(results: dict[int, dict[str, Times]]) -> str:
    """The page of results."""
    sizes = sorted(results)
    names = [(group, name) for group in STAGES for name in results[sizes[0]].get(group, {})]
    head = "| stage | " + " | ".join(f"{n:,} photos" for n in sizes) + " |"
    rows = []
    for group, name in names:
        cells = [results[n].get(group, {}).get(name) for n in sizes]
        unit = "" if "GiB" in name else " s"
        shown = ["" if cell is None else f"{cell:.2f}{unit}" for cell in cells]
        rows.append(f"| {name} | " + " | ".join(shown) + " |")
    total = " | ".join(f"**{planning(results[n]):.2f} s**" for n in sizes)
    growth = ""
    if FULL in results and 10 * FULL in results:
        factor = planning(results[10 * FULL]) / planning(results[FULL])
        growth = f"Ten times the photos take {factor:.1f} times the time (planning and tables).\n"
    peak = results[sizes[-1]]["plan"]["peak memory (GiB)"]
    return f"""# Planning at scale

Names and labels of photos after the true class counts; everything but reading and packing the
photos themselves. "Planning and tables" is the sum of the first {len(PLANNING) + len(FINISHING)}
stages. Target at 1,580,470 photos: 60 s and 3 GB; a balanced index 3 s; opening 5 s per rank.
0.65 GiB of each peak is this benchmark's own: it imports torch and DALI, which glr-shard does not.

{head}
|---|{"---|" * len(sizes)}
{chr(10).join(rows)}
| **planning and tables** | {total} |

{growth}Peak memory at {sizes[-1]:,} photos: {peak:.2f} GiB. Shards of {SHARD_SIZE:,} photos.

![seconds against photos](scale.png)

{describe()}

Written by `python -m benchmarks.bench_scale`.
"""


def main() -> None:
    """Measure, draw, write."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--rows", type=int, nargs="+", default=[FULL // 10, FULL, 10 * FULL])
    parser.add_argument("--work", type=Path, default=Path("runs/bench_scale"))
    parser.add_argument("--tree", action="store_true", help="also walk through a real folder")
    parser.add_argument("--result", type=Path, default=RESULT)
    parser.add_argument("--group", choices=list(STAGES), help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.group:
        times: Times = {}
        STAGES[options.group](options.work, times)
        if options.group != "tree":
            times["peak memory (GiB)"] = peak_gib()
        print(json.dumps(times))
        return
    if not COUNTS.is_file():
        sys.exit(f"{COUNTS}: not here; it holds the true class counts")
    results = {}
    for rows in options.rows:
        results[rows] = measure(rows, options.work, options.tree and rows <= FULL)
        print(rows, json.dumps(results[rows], indent=1), flush=True)
    draw(results, options.result.with_suffix(".png"))
    options.result.write_text(report(results))
    print(f"written to {options.result}")


if __name__ == "__main__":
    main()
