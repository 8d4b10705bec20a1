"""Whether a race is fair to its contenders: the same settings, timed alone and in a race, in turn.

    python -m benchmarks.bench_race [--repetitions 5]

In the sweep of benchmarks/bench_loader.py a contender is alone in memory and its best trial counts;
in the race all are in memory, suspended in turn, and the median counts. Here every repetition
times each contender twice in a process of its own, with no other there, and twice in a race of all.
Writes benchmarks/results/race.md.
"""

from __future__ import annotations

import argparse
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack
from pathlib import Path
from statistics import median
from typing import Any

from tqdm import tqdm

from benchmarks.environment import describe, repository
from benchmarks.harness import Worker, interleave, interpreter
from benchmarks.peers import Job
from benchmarks.samples import Sample, Spread, table
from benchmarks.stores import open_store, source_photos

RESULT = repository() / "benchmarks/results/race.md"
OURS = "glr_cpu"
#: Those that were best in the sweep of loader_cpu.md, photos as they are.
SETTINGS: dict[str, dict[str, Any]] = {
    OURS: {"batch_size": 64, "workers": 3, "prefetch": 2},
    "dali_stock": {"batch_size": 32, "workers": 2, "prefetch": 4},
    "dali_full": {"batch_size": 256, "workers": 3, "prefetch": 2},
    "imagefolder_pil": {"batch_size": 256, "workers": 2, "prefetch": 2},
    "webdataset_pil": {"batch_size": 128, "workers": 3, "prefetch": 2},
}
TURNS = 2
"""Of a contender in each situation, in a repetition."""
TRIALS = 8
"""About as many as a sweep has."""


def alone(jobs: Mapping[str, Job], python: Path, seconds: float) -> dict[str, list[Sample]]:
    """Each contender in a process of its own, the others not there."""
    samples = {}
    for name, job in jobs.items():
        with Worker(name, job, python) as worker:
            samples[name] = [worker.measure(seconds) for _ in range(TURNS)]
    return samples


def together(jobs: Mapping[str, Job], python: Path, seconds: float) -> dict[str, list[Sample]]:
    """All in memory, suspended in turn: as in the race."""
    with ExitStack() as stack:
        workers = [stack.enter_context(Worker(n, job, python)) for n, job in jobs.items()]
        return interleave(workers, TURNS, seconds)


def best_of(rates: Sequence[float], trials: int) -> float:
    """What the largest of some trials comes to on average, if they are drawn from these rates.

    The mean of the largest order statistic of ``trials`` draws with replacement.
    """
    ordered, count = sorted(rates), len(rates)
    shares = [((k + 1) / count) ** trials - (k / count) ** trials for k in range(count)]
    return sum(share * rate for share, rate in zip(shares, ordered, strict=True))


def rows(
    apart: Mapping[str, Sequence[float]], raced: Mapping[str, Sequence[float]]
) -> Iterator[list[str]]:
    """A row for each contender, of its rates alone and in the race."""
    for name in apart:
        trials = best_of(apart[name], TRIALS) / median(apart[name])
        yield [
            f"`{name}`",
            Spread.of_the_median(apart[name]).text(0),
            Spread.of_the_median(raced[name]).text(0),
            f"{median(raced[name]) / median(apart[name]):.2f}",
            f"{trials:.2f}",
            f"{median(apart[OURS]) / median(apart[name]):.2f}",
            f"{median(raced[OURS]) / median(raced[name]):.2f}",
            f"{best_of(apart[OURS], TRIALS) / best_of(apart[name], TRIALS):.2f}",
        ]


def main() -> None:
    """Time, write."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--repetitions", type=int, default=5)
    parser.add_argument("--seconds", type=float, default=1.0, help="least time of a turn")
    parser.add_argument("--work", type=Path, default=Path("runs/bench_loader"))
    parser.add_argument("--contenders", nargs="+", default=list(SETTINGS), choices=SETTINGS)
    options = parser.parse_args()
    photos, said = source_photos(options.work)
    store = open_store("original", photos, options.work).resolve()
    own = (options.work / f"own-{photos.name}-original").resolve()
    jobs = {name: Job(store=store, work=own, **SETTINGS[name]) for name in options.contenders}
    apart: dict[str, list[float]] = {name: [] for name in jobs}
    raced: dict[str, list[float]] = {name: [] for name in jobs}
    for _ in tqdm(range(options.repetitions), unit=" repetitions"):
        for into, how in ((apart, alone), (raced, together)):
            for name, samples in how(jobs, interpreter(), options.seconds).items():
                into[name] += [sample.rate for sample in samples]
    head = [
        *("contender", "alone, photos/s", "in the race", "race / alone"),
        *(f"best of {TRIALS} / median", "ours is faster by: alone", "in the race"),
        f"by the best of {TRIALS}",
    ]
    RESULT.write_text(
        f"""# Whether a race is fair to its contenders

{said[0].upper()}{said[1:]}, in the page cache, crops of 224 pixels, two cores.
Each contender with the settings that were best in the sweep of loader_cpu.md,
{options.repetitions} repetitions of {TURNS} turns of {options.seconds:g} s alone in memory
and {TURNS} in a race of all, in turn. Medians, and where 95% of the medians of resampled turns lie.
"Best of {TRIALS}" is what the fastest of {TRIALS} trials alone comes to on average, which is what a
sweep reports.

{table(head, list(rows(apart, raced)))}

{describe()}

```
python -m benchmarks.bench_race --repetitions {options.repetitions} --seconds {options.seconds:g}
```
"""
    )
    print(RESULT.read_text())


if __name__ == "__main__":
    main()
