"""Our loader against what a user would pick instead, on the CPU, two cores for everyone.

    benchmarks/peers/install.sh                # once: the contenders' libraries, in /tmp/peers
    python -m benchmarks.bench_loader          # about 30 minutes; --quick takes a few

Every contender decodes the same bytes, each from its own container, which is made before, and with
the settings that its own sweep finds. What is done is kept in the work folder: a run that was
stopped goes on where it was, and ``--steps`` does a part. Writes benchmarks/results/loader_cpu.md,
.csv and .png.
"""

from __future__ import annotations

import argparse
import json
import os
import time
from contextlib import ExitStack
from pathlib import Path

from benchmarks import loader_stages
from benchmarks.harness import PeerError, Worker, interleave, interpreter
from benchmarks.loader_page import OURS, RESULTS, TITLES, Outcome, page, speeds, verdicts
from benchmarks.loader_sweep import Sweeps
from benchmarks.peers import NAMES, Job
from benchmarks.samples import draw_bars, write_csv
from benchmarks.stores import KINDS, Kind, open_store, source_photos

STEPS = ("sweep", "race", "stages", "page")


class Bench:
    """The steps of the benchmark, and the folder that holds what is done."""

    def __init__(self, options: argparse.Namespace) -> None:
        self.options = options
        self.work: Path = options.work
        self.photos, self.said = source_photos(self.work, options.quick)
        self.results = RESULTS if options.results is None else options.results

    def job(self, kind: Kind) -> Job:
        """What contenders are asked to do on one store."""
        store = open_store(kind, self.photos, self.work)
        own = self.work / f"own-{self.photos.name}-{kind}"
        batch = 32 if self.options.quick else 256
        return Job(store=store.resolve(), work=own.resolve(), batch_size=batch)

    def sweeps(self, kind: Kind) -> Sweeps:
        """The sweeps on one store, as far as they are done."""
        return Sweeps.open(self.work / f"sweep-{self.photos.name}-{kind}.json")

    def sweep(self, kind: Kind) -> None:
        """Sweep every contender that has not been swept."""
        sweeps, job = self.sweeps(kind), self.job(kind)
        for name in self.options.contenders:
            started = time.perf_counter()
            sweeps.sweep(name, job, self.options.python, self.options.sweep_seconds)
            took = f"swept in {time.perf_counter() - started:.0f} s"
            left_out = sweeps.missing.get(name)
            print(f"  {kind}: {name} {f'left out: {left_out}' if left_out else took}", flush=True)

    def race(self, kind: Kind) -> None:
        """Every contender on one store, in turn, with its best settings."""
        file = self._race(kind)
        if file.exists():
            return
        sweeps, job = self.sweeps(kind), self.job(kind)
        outcome = Outcome(kind, self.said, {}, {}, dict(sweeps.missing), load=load())
        with ExitStack() as stack:
            workers = []
            for name in self.options.contenders:
                if name in outcome.missing:
                    continue
                try:
                    worker = Worker(name, sweeps.job(name, job), self.options.python)
                except PeerError as error:
                    outcome.missing[name] = str(error)
                    print(f"  {name}: left out: {error}", flush=True)
                    continue
                workers.append(stack.enter_context(worker))
                outcome.ready[name] = worker.ready
            turns = interleave(workers, self.options.repetitions, self.options.seconds)
            outcome.samples = turns
        write_whole(file, json.dumps(outcome.numbers(), indent=1))

    def stages(self) -> None:
        """Where our own time goes."""
        file = self.work / "stages.md"
        if not file.exists():
            stores = {kind: self.job(kind).store for kind in self.options.kinds}
            write_whole(file, loader_stages.section(stores))

    def page(self) -> None:
        """Write the page of all races that are done."""
        files = [self._race(kind) for kind in self.options.kinds]
        outcomes = [Outcome.of(json.loads(file.read_text())) for file in files if file.exists()]
        for outcome in outcomes:
            print(f"\n{speeds(outcome)}\n\n{verdicts(outcome)}")
        stages = self.work / "stages.md"
        text = page(
            outcomes,
            {outcome.kind: self.sweeps(outcome.kind) for outcome in outcomes},
            stages.read_text() if stages.exists() else "",
            self.options.repetitions,
            self.options.seconds,
        )
        self.results.mkdir(parents=True, exist_ok=True)
        write_csv(self.results / "loader_cpu.csv", {o.kind: o.samples for o in outcomes})
        panels = {TITLES[o.kind]: o.samples for o in outcomes if o.samples}
        titles = {name: ready.title for o in outcomes for name, ready in o.ready.items()}
        if panels:
            draw_bars(self.results / "loader_cpu.png", panels, titles, marked=OURS)
        write_whole(self.results / "loader_cpu.md", text)
        print(self.results / "loader_cpu.md")

    def _race(self, kind: Kind) -> Path:
        return self.work / f"race-{self.photos.name}-{kind}.json"


def write_whole(path: Path, text: str) -> None:
    """Write a file that is there whole or not at all."""
    part = path.with_suffix(".part")
    part.write_text(text)
    part.replace(path)


def parse(arguments: list[str] | None = None) -> argparse.Namespace:
    """The command line."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--kinds", nargs="+", default=list(KINDS), choices=KINDS)
    parser.add_argument("--steps", nargs="+", default=list(STEPS), choices=STEPS)
    parser.add_argument("--repetitions", type=int, default=5)
    parser.add_argument("--seconds", type=float, default=1, help="least time of a turn")
    parser.add_argument("--sweep-seconds", type=float, default=0.7, help="least time of a trial")
    parser.add_argument("--contenders", nargs="+", default=list(NAMES), choices=NAMES)
    parser.add_argument("--work", type=Path, default=Path("runs/bench_loader"))
    parser.add_argument(
        "--python", type=Path, default=interpreter(), help="that has the contenders' libraries"
    )
    parser.add_argument("--results", type=Path, help="folder for the page; default: the repository")
    parser.add_argument("--quick", action="store_true", help="few generated photos, short turns")
    options = parser.parse_args(arguments)
    if options.quick:
        options.repetitions, options.seconds, options.sweep_seconds = 1, 0.1, 0.05
        options.results = options.results or options.work
    return options


def load() -> str:
    """How busy the machine is: three averages."""
    return ", ".join(f"{number:.1f}" for number in os.getloadavg())


def main(arguments: list[str] | None = None) -> None:
    """The steps that are asked for, in their order."""
    options = parse(arguments)
    bench = Bench(options)
    for step in STEPS:
        if step not in options.steps:
            continue
        if step in ("sweep", "race"):
            for kind in options.kinds:
                (bench.sweep if step == "sweep" else bench.race)(kind)
        else:
            (bench.stages if step == "stages" else bench.page)()


if __name__ == "__main__":
    main()
