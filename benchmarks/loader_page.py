"""The page of the loader benchmark: what benchmarks/bench_loader.py found out, in tables."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, Self

from benchmarks.environment import describe, repository
from benchmarks.harness import Ready
from benchmarks.loader_sweep import Sweeps
from benchmarks.samples import Sample, Spread, Target, ratio, table
from benchmarks.stores import Kind

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
    """What the race on one store has shown."""

    kind: Kind
    photos: str
    """What the photos are, in words."""
    samples: dict[str, list[Sample]]
    ready: dict[str, Ready]
    missing: dict[str, str] = field(default_factory=dict)
    """Contenders that did not run, and why."""
    where: str = field(default_factory=describe)
    """Machine, versions and commit of the race."""
    load: str = ""
    """How busy the machine was before."""

    def numbers(self) -> dict[str, Any]:
        """As JSON holds it."""
        return asdict(self)

    @classmethod
    def of(cls, held: dict[str, Any]) -> Self:
        """From :meth:`numbers`."""
        samples = {n: [Sample(**turn) for turn in turns] for n, turns in held["samples"].items()}
        ready = {name: Ready(**each) for name, each in held["ready"].items()}
        return cls(**held | {"samples": samples, "ready": ready})


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
            if other in samples or other == "bound_full"
        ]
        per_cpu = Spread.of([s.per_cpu for s in own]).median
        output = outcome.ready[name].output
        rate = Spread.of([s.rate for s in own]).text(0)
        rows.append([outcome.ready[name].title, output, rate, f"{per_cpu:,.0f}", *versus])
    header = ["contender", "output", "photos/s", "photos per CPU second"]
    return table([*header, "ours is faster by", "share of bare full decode"], rows)


def _median(turns: Sequence[Sample]) -> float:
    return Spread.of([s.rate for s in turns]).median


def verdicts(outcome: Outcome) -> str:
    """The targets on one store."""
    rows = []
    for target in TARGETS[outcome.kind]:
        judged = target.judge(outcome.samples)
        found, word, per_cpu = judged or (None, "open", None)
        texts = [spread.text(2) if spread else "not measured" for spread in (found, per_cpu)]
        rows.append([target.text, f"{target.least:g}", texts[0], f"**{word}**", texts[1]])
    return table(["ratio", "target", "found", "", "the same per CPU second"], rows)


def page(
    outcomes: list[Outcome],
    sweeps: dict[str, Sweeps],
    stages: str,
    repetitions: int,
    seconds: float,
) -> str:
    """The whole page of results."""
    parts = [
        f"## {TITLES[o.kind].capitalize()} (`{o.kind}`)\n\n{speeds(o)}\n\n{verdicts(o)}\n\n"
        f"The sweep before:\n\n{sweeps[o.kind].section()}"
        for o in outcomes
    ]
    missing = {name: why for o in outcomes for name, why in o.missing.items()}
    left_out = "\n".join(f"- `{name}`: {why}" for name, why in missing.items()) or "None."
    stores = "\n\n".join(parts)
    notes = Path(__file__).parent / "loader_notes.md"
    busy = "; ".join(f"{o.kind} {o.load}" for o in outcomes)
    return f"""# The loader on a CPU

![photos per second](loader_cpu.png)

Every contender, ours too, runs with the settings that were best in a sweep of its own: batches of
32 to 256, 2 to 4 threads or worker processes, batches ahead, and the shuffle buffer where it has
one (one trial each of about a second; one axis after the other). Everyone is pinned to the same
two cores and delivers crops of 224 x 224 with a random flip. The same JPEG bytes for all, each in
its own container, in the page cache: {outcomes[0].photos}. Contenders run in processes of their
own, in turn, and are suspended while others run. Median of {repetitions} rounds (least to most);
each turn {seconds:g} s or more after a warm-up of more batches than lie ready. A ratio is formed
in each round, then its median taken. Photos per CPU second say what a core does when nobody else
wants it.

{stores}

"Ours" in the tables is the `cpu` backend. A share of the bare full decode can pass 1, as only the
crop need be decoded. The stock DALI pipelines, FFCV and SPDL draw their crops themselves, by the
same distribution. "shuffle" is the photos of the buffer; 0 reads them in the order of the tars,
which our loader never does: its order is that of the whole epoch.

## Left out

{left_out}

{stages}

{notes.read_text()}
## Where and how

{outcomes[0].where} Processes that wanted a core in the last 1, 5 and 15 minutes before each race:
{busy}.

```
benchmarks/peers/install.sh
python -m benchmarks.bench_loader
```

Every turn is in [loader_cpu.csv](loader_cpu.csv).
"""
