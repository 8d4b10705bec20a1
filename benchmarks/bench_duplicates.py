"""Looking for duplicates at full scale: grouping 1,580,470 hashes, and scanning photos for them.

python -m benchmarks.bench_duplicates --photos ../shared/data/landmarks13/train

Hashes are random but for planted copies: 5% of the photos have one at up to 6 of 64 and 20 of 256
bits, 2% one of equal bytes, and a crowd of 20,000 shares a hash within 2 bits, as pictures that say
"image not available" do.
"""

from __future__ import annotations

import argparse
import resource
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pyarrow as pa

from benchmarks.environment import describe, repository
from shard_tools.duplicates.fingerprint import fingerprint
from shard_tools.duplicates.grouping import COARSE_BITS, FINGERPRINTS_SCHEMA, group_photos

FULL = 1_580_470
_FINE_FLIPS = 20


def planted(count: int, crowd: int, seed: int = 0) -> tuple[pa.Table, np.ndarray]:
    """Fingerprints, and the pairs that must be found, shape (pairs, 2)."""
    rng = np.random.default_rng(seed)
    coarse = rng.integers(0, 2**64, count, np.uint64)
    fine = rng.integers(0, 2**64, (count, 4), np.uint64)
    digests = rng.integers(0, 2**64, (count, 2), np.uint64)
    near, exact = count // 20, count // 50
    rows = rng.permutation(count)
    one, two = rows[:near], rows[near : 2 * near]
    coarse[two] = _flipped(coarse[one], COARSE_BITS, rng)
    fine[two] = fine[one]
    fine[two, 0] = _flipped(fine[one, 0], _FINE_FLIPS, rng)
    first, again = rows[2 * near :][:exact], rows[2 * near + exact :][:exact]
    for column in (coarse, fine, digests):
        column[again] = column[first]
    many = rows[2 * near + 2 * exact :][:crowd]
    if crowd:
        coarse[many] = _flipped(np.full(crowd, coarse[many[0]]), 1, rng)
        fine[many] = fine[many[0]]
        fine[many, 0] = _flipped(fine[many, 0], 2, rng)
    columns = [
        _binary(digests),
        pa.array(coarse),
        _binary(fine),
        pa.array(np.ones(count, np.int64)),
        pa.array(np.ones(count, np.int64)),
        pa.array(np.ones(count, bool)),
    ]
    pairs = np.concatenate([np.stack([one, two], 1), np.stack([first, again], 1)])
    crowded = np.stack([np.full(crowd - 1, many[0]), many[1:]], 1) if crowd else pairs[:0]
    return pa.table(columns, schema=FINGERPRINTS_SCHEMA), np.concatenate([pairs, crowded])


def _flipped(hashes: np.ndarray, times: int, rng: np.random.Generator) -> np.ndarray:
    """Hashes with a random bit flipped that many times: up to as many bits differ."""
    out = hashes.copy()
    for _ in range(times):
        out ^= np.uint64(1) << rng.integers(0, 64, len(out), np.uint64)
    return out


def _binary(words: np.ndarray) -> pa.Array:
    data = pa.py_buffer(words.tobytes())
    return pa.FixedSizeBinaryArray.from_buffers(
        pa.binary(8 * words.shape[1]), len(words), [None, data]
    )


def measure(count: int, crowd: int) -> str:
    """A row of the results: runs in a process of its own, for its memory."""
    table, pairs = planted(count, crowd)
    before = time.perf_counter(), time.process_time()
    roots, _ = group_photos(table)
    seconds, cpu = time.perf_counter() - before[0], time.process_time() - before[1]
    found = (roots[pairs[:, 0]] == roots[pairs[:, 1]]).mean()
    grouped = int((np.bincount(roots, minlength=count)[roots] > 1).sum())
    wrong = grouped - len(np.unique(pairs))
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e6
    cells = (
        f"{count:,}",
        f"{crowd:,}",
        f"{seconds:.1f}",
        f"{cpu:.1f}",
        f"{peak:.2f}",
        f"{found:.4%}",
    )
    return f"| {' | '.join(cells)} | {wrong} |"


def scan_rate(folder: Path) -> str:
    """Photos per second and core that get a fingerprint, files in the page cache."""
    photos = [file.read_bytes() for file in sorted(folder.rglob("*.jpg"))]
    rates = []
    for _ in range(3):
        started = time.process_time()
        for photo in photos:
            fingerprint(photo)
        rates.append(len(photos) / (time.process_time() - started))
    size = np.mean([len(photo) for photo in photos])
    return (
        f"{np.median(rates):,.0f} photos/s per core ({len(photos)} photos of {size / 1e3:.0f} kB)"
    )


def main() -> None:
    """Measure, and write benchmarks/results/duplicates.md."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--photos", type=Path, help="folder of photos to scan")
    parser.add_argument("--one", nargs=2, type=int, help=argparse.SUPPRESS)
    parsed = parser.parse_args()
    if parsed.one:
        print(measure(*parsed.one))
        return
    rows = []
    for count, crowd in ((FULL // 10, 0), (FULL, 0), (FULL, 20_000)):
        command = [sys.executable, "-m", "benchmarks.bench_duplicates", "--one"]
        done = subprocess.run(
            [*command, str(count), str(crowd)], check=True, capture_output=True, text=True
        )
        rows.append(done.stdout.strip())
        print(rows[-1], flush=True)
    page = [
        "# Looking for duplicates",
        "",
        f"    python -m benchmarks.bench_duplicates{' --photos DIR' if parsed.photos else ''}",
        "",
        describe(),
        "",
        "Grouping hashes, with planted copies that must be found (see the script). *Crowd*: photos "
        "that share a hash but for 2 bits. *Peak* includes the hashes and their making.",
        "",
        "| photos | crowd | seconds | CPU seconds | peak GB | planted pairs found | photos grouped "
        "that were not planted |",
        "|---|---|---|---|---|---|---|",
        *rows,
    ]
    if parsed.photos:
        page += ["", f"Scanning (digest, decode, both hashes): {scan_rate(parsed.photos)}."]
    (repository() / "benchmarks" / "results" / "duplicates.md").write_text("\n".join(page) + "\n")


if __name__ == "__main__":
    main()
