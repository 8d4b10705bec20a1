"""Our loader against what a user would pick instead, on the CPU, two threads for everyone.

    benchmarks/peers/install.sh                # once: the contenders' libraries, in /tmp/peers
    python -m benchmarks.bench_loader          # about 15 minutes; --quick takes two

Every contender decodes the same bytes, each from its own container, which is made before. Writes
benchmarks/results/loader_cpu.md, .csv and .png.
"""

from __future__ import annotations

import argparse
import os
import sys
import time
from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path

from benchmarks import loader_stages
from benchmarks.environment import describe, repository
from benchmarks.harness import PeerError, Ready, Worker, interleave, interpreter
from benchmarks.peers import NAMES, Job
from benchmarks.samples import Sample, Spread, Target, draw_bars, ratio, table, write_csv
from benchmarks.stores import KINDS, Kind, open_store, source_photos

RESULTS = repository() / "benchmarks/results"
OURS, STOCK = ("glr_cpu", "glr_dali"), ("dali_stock", "dali_full")
OTHERS = ("spdl_threads", "mosaic_streaming", "litdata_stream", "imagefolder_pil")
TITLES = {"original": "photos as they are", "short256": "short side 256"}

TARGETS: dict[str, tuple[Target, ...]] = {
    kind: (
        Target("our `dali` backend / best stock DALI", ("glr_dali",), STOCK, 1.0),
        Target("our fastest / best stock DALI", OURS, STOCK, 1.5),
        Target("our fastest / webdataset + DataLoader", OURS, ("webdataset_pil",), 3.0),
        Target("our fastest / FFCV", OURS, ("ffcv_jpeg",), 1.7),
        Target("our fastest / the fastest of the rest", OURS, OTHERS, 1.0),
        Target("our fastest / bare full decode", OURS, ("bound_full",), share),
    )
    for kind, share in (("original", 0.8), ("short256", 0.65))
}


@dataclass
class Outcome:
    """What was found out on one store."""

    kind: Kind
    samples: dict[str, list[Sample]]
    ready: dict[str, Ready]
    missing: dict[str, str] = field(default_factory=dict)
    """Contenders that did not run, and why."""


def measure(kind: Kind, photos: Path, options: argparse.Namespace) -> Outcome:
    """Every contender on one store."""
    store = open_store(kind, photos, options.work)
    job = Job(store=store.resolve(), work=(options.work / f"own-{photos.name}-{kind}").resolve())
    outcome = Outcome(kind, {}, {})
    with ExitStack() as stack:
        workers = []
        for name in options.contenders:
            try:
                workers.append(stack.enter_context(Worker(name, job, interpreter())))
            except PeerError as error:
                outcome.missing[name] = str(error)
                print(f"  {name}: left out: {error}", flush=True)
                continue
            outcome.ready[name] = workers[-1].ready
            print(f"  {name}: ready", flush=True)
        outcome.samples = interleave(workers, options.repetitions, options.seconds)
    return outcome


def speeds(outcome: Outcome) -> str:
    """The table of one store: fastest first, the bounds last."""
    samples = outcome.samples
    order = sorted(samples, key=lambda n: (n.startswith("bound"), -_median(samples[n])))
    rows = []
    for name in order:
        own = samples[name]
        versus = [
            ratio(samples[other], own).text(2)
            if other == "glr_cpu"
            else ratio(own, samples[other]).text(2)
            if other in samples and other != name
            else ""
            for other in ("glr_cpu", "bound_full")
        ]
        per_cpu = Spread.of([s.thrift for s in own]).median
        output = outcome.ready[name].output
        rate = Spread.of([s.rate for s in own]).text(0)
        rows.append([outcome.ready[name].title, output, rate, f"{per_cpu:,.0f}", *versus])
    header = ["contender", "output", "photos/s", "photos per CPU second"]
    return table([*header, "ours is faster by", "share of bare full decode"], rows)


def _median(turns: Sequence[Sample]) -> float:
    return Spread.of([s.rate for s in turns]).median


def verdicts(outcome: Outcome) -> str:
    """The issue's targets on one store."""
    rows = []
    for target in TARGETS[outcome.kind]:
        judged = target.judge(outcome.samples)
        found, word, thrift = judged or (None, "open", None)
        texts = [spread.text(2) if spread else "not measured" for spread in (found, thrift)]
        rows.append([target.text, f"{target.least:g}", texts[0], f"**{word}**", texts[1]])
    return table(["ratio", "target", "found", "", "the same per CPU second"], rows)


def page(outcomes: list[Outcome], photos: str, profiles: str, options: argparse.Namespace) -> str:
    """The whole page of results."""
    parts = [
        f"## {TITLES[o.kind].capitalize()} (`{o.kind}`)\n\n{speeds(o)}\n\n{verdicts(o)}"
        for o in outcomes
    ]
    missing = {name: why for o in outcomes for name, why in o.missing.items()}
    left_out = "\n".join(f"- `{name}`: {why}" for name, why in missing.items()) or "None."
    stores = "\n\n".join(parts)
    notes = RESULTS.parent / "loader_notes.md"
    return f"""# The loader on a CPU

![photos per second](loader_cpu.png)

Two threads or two worker processes for everyone, pinned to the same two cores; batches of 256 crops
of 224 x 224 with a random flip. The same JPEG bytes for all, each in its own container, in the page
cache: {photos}. Contenders run in processes of their own, in turn, and are suspended
while others run. Median of {options.repetitions} rounds (least to most); each turn
{options.seconds:g} s or more after a warm-up of five batches. A ratio is formed in each round, then
its median taken. Photos per CPU second say what a core does when nobody else wants it.

{stores}

"Ours" in the tables is the `cpu` backend. A share of the bare full decode can pass 1, as only the
crop need be decoded. The stock DALI pipelines, FFCV and SPDL draw their crops themselves, by the
same distribution.

## Left out

{left_out}

{profiles}

{notes.read_text() if notes.exists() else ""}
## Where and how

{describe()} Processes that wanted a core in the last 1, 5 and 15 minutes: {options.load} before the
run, {load()} at its end (our own two included).

```
benchmarks/peers/install.sh
{options.command}
```

Every turn is in [loader_cpu.csv](loader_cpu.csv).
"""


def parse() -> argparse.Namespace:
    """The command line."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--photos", default="both", choices=["both", *KINDS])
    parser.add_argument("--repetitions", type=int, default=5)
    parser.add_argument("--seconds", type=float, default=1, help="least time of a turn")
    parser.add_argument("--contenders", nargs="+", default=list(NAMES), choices=NAMES)
    parser.add_argument("--work", type=Path, default=Path("runs/bench_loader"))
    parser.add_argument("--quick", action="store_true", help="few generated photos; no page")
    options = parser.parse_args()
    if options.quick:
        options.repetitions, options.seconds = 1, 0.1
    options.command = " ".join(["python -m benchmarks.bench_loader", *sys.argv[1:]])
    options.load = load()
    return options


def load() -> str:
    """How busy the machine is: three averages."""
    return ", ".join(f"{number:.1f}" for number in os.getloadavg())


def main() -> None:
    """Measure, judge, write."""
    options = parse()
    started = time.perf_counter()
    folder, photos = source_photos(options.work, options.quick)
    outcomes = []
    for kind in KINDS if options.photos == "both" else [options.photos]:
        print(f"{TITLES[kind]}:", flush=True)
        outcomes.append(measure(kind, folder, options))
    for outcome in outcomes:
        print(f"\n{speeds(outcome)}\n\n{verdicts(outcome)}")
    if options.quick:
        return
    stores = {o.kind: open_store(o.kind, folder, options.work) for o in outcomes}
    text = page(outcomes, photos, loader_stages.section(stores), options)
    RESULTS.mkdir(exist_ok=True)
    (RESULTS / "loader_cpu.md").write_text(text)
    write_csv(RESULTS / "loader_cpu.csv", {o.kind: o.samples for o in outcomes})
    panels = {TITLES[o.kind]: o.samples for o in outcomes}
    titles = {name: ready.title for o in outcomes for name, ready in o.ready.items()}
    draw_bars(RESULTS / "loader_cpu.png", panels, titles, marked=OURS)
    print(f"{RESULTS / 'loader_cpu.md'} after {(time.perf_counter() - started) / 60:.0f} minutes")


if __name__ == "__main__":
    main()
