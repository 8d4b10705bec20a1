"""What samples say: medians, spreads and ratios, as Markdown, CSV and bars. No measuring here."""

from __future__ import annotations

import csv
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import median

import numpy as np


@dataclass(frozen=True)
class Sample:
    """One turn of a contender."""

    photos: int
    seconds: float
    cpu_seconds: float

    @property
    def rate(self) -> float:
        """Photos per second."""
        return self.photos / self.seconds

    @property
    def per_cpu(self) -> float:
        """Photos per second of CPU time: what others do on the machine hardly moves it."""
        return self.photos / self.cpu_seconds


@dataclass(frozen=True)
class Spread:
    """Median, least and most of one figure over the repetitions."""

    median: float
    low: float
    high: float

    @classmethod
    def of(cls, values: Sequence[float]) -> Spread:
        """Of at least one value."""
        return cls(median(values), min(values), max(values))

    @classmethod
    def of_the_median(cls, values: Sequence[float]) -> Spread:
        """The median and where it may lie: the middle 95% of medians of 2,000 resamplings.

        For many short turns, of which the least and the most say nothing. The percentile bootstrap
        of Efron, 1979, with a fixed seed.
        """
        random = np.random.default_rng(0)
        drawn = random.choice(np.asarray(values), (2000, len(values)))
        low, high = np.quantile(np.median(drawn, axis=1), (0.025, 0.975))
        return cls(median(values), float(low), float(high))

    def text(self, digits: int) -> str:
        """Such as ``0.84 (0.82 to 0.85)``."""
        low, high = f"{self.low:,.{digits}f}", f"{self.high:,.{digits}f}"
        return f"{self.median:,.{digits}f} ({low} to {high})"


def ratio(own: Sequence[Sample], other: Sequence[Sample]) -> Spread:
    """Own rate over another's: formed in each round, then the median.

    The two of a round were measured within a minute of each other; medians over all rounds were
    not.
    """
    return Spread.of([a.rate / b.rate for a, b in zip(own, other, strict=True)])


def per_cpu_ratio(own: Sequence[Sample], other: Sequence[Sample]) -> Spread:
    """As :func:`ratio`, of photos per second of CPU time."""
    return Spread.of([a.per_cpu / b.per_cpu for a, b in zip(own, other, strict=True)])


def best(contenders: Sequence[Sequence[Sample]]) -> list[Sample]:
    """The fastest of some contenders in each round."""
    return [max(turn, key=lambda sample: sample.rate) for turn in zip(*contenders, strict=True)]


@dataclass(frozen=True)
class Target:
    """A ratio that is to be reached."""

    text: str
    own: tuple[str, ...]
    """Contenders, the fastest counts."""
    other: tuple[str, ...]
    least: float

    def judge(self, samples: Mapping[str, list[Sample]]) -> tuple[Spread, str, Spread] | None:
        """The ratio, ``met`` or ``missed`` by its median, and the ratio per CPU second.

        None if a side is missing.
        """
        own = [samples[name] for name in self.own if samples.get(name)]
        other = [samples[name] for name in self.other if samples.get(name)]
        if not own or not other:
            return None
        spread, per_cpu = ratio(best(own), best(other)), per_cpu_ratio(best(own), best(other))
        near = "missed, within the spread" if spread.high >= self.least else "missed"
        return spread, "met" if spread.median >= self.least else near, per_cpu


def table(header: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """A Markdown table."""
    lines = [header, ["---"] * len(header), *rows]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def write_csv(path: Path, samples: Mapping[str, Mapping[str, list[Sample]]]) -> None:
    """Every turn of everyone: one line each."""
    with open(path, "w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(["photos_of", "contender", "round", "photos", "seconds", "cpu_seconds"])
        for store, contenders in samples.items():
            for name, turns in contenders.items():
                for number, turn in enumerate(turns, 1):
                    numbers = turn.photos, round(turn.seconds, 4), round(turn.cpu_seconds, 2)
                    writer.writerow([store, name, number, *numbers])


def draw_bars(
    path: Path,
    panels: Mapping[str, Mapping[str, list[Sample]]],
    titles: Mapping[str, str],
    marked: Sequence[str],
    unit: str = "photos/s",
) -> None:
    """Bars of the median rates with their spread, one panel per store.

    Args:
        path: of the PNG.
        panels: samples by contender, by title of the panel.
        titles: of the contenders.
        marked: contenders whose bars stand out.
        unit: of the axis.
    """
    from matplotlib.figure import Figure

    figure = Figure(figsize=(11, 0.36 * max(map(len, panels.values())) + 1.2), layout="constrained")
    for axes, (title, samples) in zip(
        figure.subplots(1, len(panels), sharey=True, squeeze=False)[0], panels.items(), strict=True
    ):
        names = list(samples)[::-1]
        spreads = [Spread.of([s.rate for s in samples[name]]) for name in names]
        colors = [
            "#1f6fb4" if n in marked else "#d8a25e" if "bound" in n else "#b8bec6" for n in names
        ]
        errors = [[s.median - s.low for s in spreads], [s.high - s.median for s in spreads]]
        labels = [titles[name].replace("`", "") for name in names]
        axes.barh(labels, [s.median for s in spreads], xerr=errors, color=colors, ecolor="#444")
        for place, spread in enumerate(spreads):
            axes.text(spread.high, place, f" {spread.median:,.0f}", va="center", fontsize=8)
        axes.set_xlim(0, 1.15 * max(s.high for s in spreads))
        axes.set_title(title, fontsize=10)
        axes.set_xlabel(unit)
        axes.tick_params(labelsize=8)
        axes.spines[["top", "right"]].set_visible(False)
    figure.savefig(path, dpi=130)
