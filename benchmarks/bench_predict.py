"""Bare files through ``predict``, against the same photos through an evaluation of their store.

    python -m benchmarks.bench_predict [--small] [--repetitions 5]

One process, one model after the other (random weights: only the time counts), the ways in turn.
``predict`` reads single files and decodes each to its end to find damage; for a store the build has
done that. Writes benchmarks/results/predict.md, and fails if ``predict`` as it is by default has
less than 0.9 of the evaluation's rate with a network of the recipes.
"""

from __future__ import annotations

import argparse
import os
import shutil
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import torch
from accelerate import Accelerator

from benchmarks.environment import describe, repository
from benchmarks.samples import Sample, Spread, per_cpu_ratio, ratio, table
from glr_fast import evaluation
from glr_fast.checkpoint import CARD, CLASSES, save_best
from glr_fast.data import IMAGENET_MEAN, IMAGENET_STD, LoaderOptions, Store, open_loader
from glr_fast.model_card import ModelCard
from glr_fast.prediction import PredictOptions, predict
from glr_fast.trained_model import TrainedModel, load_model
from shard_tools.build import BuildOptions, build_store
from shard_tools.demo_photos import write_kaggle_dataset

RESULT = Path("benchmarks/results/predict.md")
LANDMARKS = repository().parent / "shared/data/landmarks13/train"
LEAST = 0.9
BATCH = 32
WAYS = {
    "store": "evaluation of the store",
    "full": "`predict`, files, `--check full` (default)",
    "header": "`predict`, files, `--check header`",
}


@dataclass(frozen=True)
class Network:
    """A network to measure with."""

    name: str
    photos: int
    """So many, for a turn of some ten seconds."""
    judged: bool
    """Whether the 0.9 is asked of it."""


NETWORKS = (
    Network("efficientnet_b0", 256, True),
    Network("resnet50", 128, True),
    Network("test_resnet", 512, False),
)
SMALL = (Network("test_resnet", 24, False),)


def main(arguments: list[str] | None = None) -> None:
    """Measure, write, check."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--small", action="store_true", help="few generated photos, one network")
    parser.add_argument("--repetitions", type=int, default=5)
    parser.add_argument("--result", type=Path, default=repository() / RESULT)
    options = parser.parse_args(arguments)
    missed, rows, what = [], [], ""
    for network in SMALL if options.small else NETWORKS:
        with tempfile.TemporaryDirectory() as folder:
            photos, what = take_photos(Path(folder), network.photos, options.small)
            samples = measure(Path(folder), photos, network, options.repetitions)
        rows += lines_of(network, samples)
        if network.judged and ratio(samples["full"], samples["store"]).median < LEAST:
            missed.append(network.name)
    options.result.write_text(page(rows, what, options.repetitions))
    print(options.result.read_text())
    if missed:
        sys.exit(f"less than {LEAST} of the evaluation's rate: {', '.join(missed)}")


def take_photos(work: Path, count: int, small: bool) -> tuple[Path, str]:
    """A folder of single files, and what they are in words."""
    if small or not LANDMARKS.is_dir():
        write_kaggle_dataset(work / "made", 8, -(-count // 8), -(-count // 8), size=(800, 600))
        files, what = sorted((work / "made").rglob("*.jpg")), "generated photos, 800 x 600 pixels"
    else:
        files, what = sorted(LANDMARKS.rglob("*.jpg")), "photos of landmarks13, 800 pixels at most"
    every = max(1, len(files) // count)
    for number, file in enumerate(files[::every][:count]):
        place = work / "photos" / f"class{number % 8}"
        place.mkdir(parents=True, exist_ok=True)
        shutil.copy(file, place / file.name)
    return work / "photos", what


def measure(work: Path, photos: Path, network: Network, repetitions: int) -> dict[str, list]:
    """Samples of each way; the k-th of all belong to the same round."""
    store = work / "store"
    options = BuildOptions(
        source=photos, out=store, splits=(1.0, 0.0, 0.0), duplicates="keep", shard_size=128
    )
    build_store(options, workers=2)
    model = untrained(work / "run", network.name, store)
    accelerator = Accelerator(cpu=True)
    turns: dict[str, Callable[[], int]] = {
        "store": lambda: through_evaluation(accelerator, model, store),
        "full": lambda: through_predict(model, photos, "full"),
        "header": lambda: through_predict(model, photos, "header"),
    }
    samples: dict[str, list[Sample]] = {way: [] for way in turns}
    for round_number in range(repetitions + 1):
        # Every second round backwards: nobody always follows the same neighbour.
        for way in list(turns)[:: -1 if round_number % 2 else 1]:
            started, cpu = time.perf_counter(), time.process_time()
            seen = turns[way]()
            sample = Sample(seen, time.perf_counter() - started, time.process_time() - cpu)
            print(
                f"  {network.name} round {round_number}: {way:7} {sample.rate:7.1f}/s", flush=True
            )
            if round_number:  # the first one warms up
                samples[way].append(sample)
    return samples


def untrained(run: Path, name: str, store: Path) -> TrainedModel:
    """A model of random weights that knows the classes of a store."""
    torch.manual_seed(0)
    count = Store.open(store).num_classes
    card = ModelCard(name, count, "linear", 224, IMAGENET_MEAN, IMAGENET_STD, 1.0)
    files = {CARD: card.to_json().encode(), CLASSES: (store / CLASSES).read_bytes()}
    save_best(run, card.build(), files, {})
    return load_model(run, device="cpu")


def through_evaluation(accelerator: Accelerator, model: TrainedModel, store: Path) -> int:
    """Photos that an evaluation of the store has seen."""
    options = LoaderOptions(batch_size=BATCH, image_size=model.card.image_size)
    with open_loader(store, "train", options, train=False) as loader:
        return len(evaluation.predict(accelerator, model.module, loader, model.card))


def through_predict(model: TrainedModel, photos: Path, check: str) -> int:
    """Photos that ``predict`` has recognised."""
    options = PredictOptions(batch_size=BATCH, check=check)  # type: ignore[arg-type]
    return predict(model, photos, options, progress=False).photos


def lines_of(network: Network, samples: dict[str, list[Sample]]) -> list[list[str]]:
    """A line of the page for each way."""
    lines = []
    for way, turns in samples.items():
        compared = ["", ""]
        if way != "store":
            ratios = ratio(turns, samples["store"]), per_cpu_ratio(turns, samples["store"])
            compared = [found.text(2) for found in ratios]
        rate = Spread.of([turn.rate for turn in turns]).text(1)
        lines.append([f"`{network.name}`", str(turns[0].photos), WAYS[way], rate, *compared])
    return lines


def page(rows: list[list[str]], what: str, repetitions: int) -> str:
    """The page of results."""
    header = ["network", "photos", "way", "photos/s", "of the evaluation's", "per CPU second"]
    return f"""# Bare files through `predict`

The same {what}: as single files through `predict`, and in a store through an
evaluation. 224 x 224 pixels, batches of {BATCH}, random weights. Median of {repetitions} rounds
(least to most); the ways take turns, and a ratio is formed in each round. Times hold everything
from listing the photos (opening the store) to the last answer. The last column compares photos per
second of CPU time, which other work on the machine hardly moves.

{table(header, rows)}

To be reached: {LEAST} with the networks of the recipes. `test_resnet` is hardly a network: it shows
what is left where the network costs nothing. There `predict` does what the build of a store has
done before: it opens single files and decodes each to its end to find damage.

{describe()}

Written by `python -m benchmarks.bench_predict`.
"""


if __name__ == "__main__":
    if "OMP_WAIT_POLICY" not in os.environ:  # as the commands set it, before torch is loaded
        again = [sys.executable, "-m", "benchmarks.bench_predict", *sys.argv[1:]]
        os.execve(sys.executable, again, os.environ | {"OMP_WAIT_POLICY": "passive"})
    main()
