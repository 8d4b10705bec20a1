"""A finished run on a store: predictions, figures, tables and pictures in one folder."""

from __future__ import annotations

import json
import os
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import torch
from accelerate import Accelerator

from glr_fast import metrics
from glr_fast.data import LoaderOptions, Rank, Store, StoreError, bad_samples_file, open_loader
from glr_fast.errors import ConfigError, mark_rank
from glr_fast.evaluate_options import EvaluateOptions
from glr_fast.evaluation.known_classes import KnownClasses
from glr_fast.evaluation.predictions import Predictions, check_complete, figures_of, predict
from glr_fast.evaluation.tables import write_tables
from glr_fast.evaluation.trained_on import trained_on
from glr_fast.gpu_settings import apply_gpu_settings
from glr_fast.run_folders import store_of
from glr_fast.run_start import fingerprint
from glr_fast.trained_model import TrainedModel, load_model
from glr_fast.whole_files import write_atomically

METRICS = "metrics.json"


def evaluate(options: EvaluateOptions) -> dict[str, Any]:
    """Evaluate a trained model and write tables, figures and pictures into one folder.

    The store may hold any classes: they are matched to the model's by landmark id. Photos of
    classes that the model does not know count as distractors for GAP and the thresholds, and for
    nothing else. Every process of a distributed launch calls this; the main one writes.

    Args:
        options: which run, which splits of which store, where to.

    Returns:
        The figures, as in ``metrics.json`` (docs/evaluation.md lists them): among them ``photos``,
        ``accuracy``, ``top5_accuracy``, ``macro_f1``, ``gap`` and ``ece`` (shares from 0 to 1) and
        ``intervals`` (``[low, high]``, by the figure's key). An empty dictionary on all processes
        but the main one.

    Raises:
        ConfigError: no such run or checkpoint, a damaged one, a store without a class of it, or a
            folder that cannot be written to.
        StoreError: no such store or split, or an empty one.
    """
    options = options.resolved()
    assert options.store is not None
    store = Store.open(options.store)
    for split in options.splits:  # before an hour of work on another
        if not len(store.split_rows(split)):
            raise StoreError(f"{options.store}: there are no {split} photos to evaluate")
    accelerator = _open_accelerator(options)
    model = load_model(options.run, options.checkpoint, accelerator.device)
    classes = KnownClasses.of(model, store, options.splits)
    learnt = trained_on(options.run, store, options.splits)
    if accelerator.is_main_process:
        _prepare(options.folder)
        _warn(options, store, learnt)
    try:
        predictions = _predict_splits(accelerator, model, classes, store, options)
    except Exception as error:
        if isinstance(error, torch.OutOfMemoryError):
            said = f"{accelerator.device} has not enough memory; give a smaller one"
            error = ConfigError(f"--batch-size {options.batch_size}: {said}")
        if accelerator.num_processes > 1:  # others wait for this one, and cannot say why it ended
            mark_rank(error, accelerator.process_index)
        raise error from None
    if not accelerator.is_main_process:
        return {}
    figures = _about(options, model, store) | all_figures(predictions, model, options.resamples)
    undecodable = _undecodable(options.folder, accelerator.num_processes)
    for line in undecodable:
        print(f"warning: {line}", file=sys.stderr)
    doubts = _doubts(options, store, learnt) + undecodable
    figures |= {"trained_on": learnt, "warnings": doubts}
    with _writing(options.folder), _whole(options.folder) as folder:
        write_tables(folder, predictions, store, model)
        write_atomically(folder / METRICS, json.dumps(figures, indent=1) + "\n")
        _draw(options, folder, figures, predictions, model)
        if options.report:
            _report(options, folder, store)
    return figures


def all_figures(predictions: Predictions, model: TrainedModel, resamples: int) -> dict[str, Any]:
    """``figures_of``, and what an evaluation adds to it.

    Returns:
        Also ``unknown_photos``, ``reliability``, ``thresholds`` and ``intervals``.
    """
    labels, top, confidence = predictions.labels, predictions.top, predictions.probabilities[:, 0]
    known = labels >= 0
    right = top[:, 0] == labels
    return figures_of(predictions, model.train_counts) | {
        "unknown_photos": int((~known).sum()),
        "reliability": metrics.reliability(right[known], confidence[known]),
        "thresholds": metrics.thresholds(right, confidence),
        "intervals": metrics.intervals(
            labels,
            top,
            predictions.probabilities,
            predictions.losses,
            model.train_counts,
            resamples,
        ),
    }


def _prepare(folder: Path) -> None:
    """Make the folder, and see that it can be written to, before an hour of work."""
    with _writing(folder):
        folder.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=folder):
            pass


@contextmanager
def _writing(folder: Path) -> Iterator[None]:
    """Say in a line that a folder cannot be written to, such as on a full disk."""
    try:
        yield
    except OSError as error:
        at = None if error.filename is None else Path(os.fsdecode(error.filename)).absolute()
        if at and not at.is_relative_to(folder.absolute()) and at not in folder.absolute().parents:
            raise  # a photo for the report, say
        reason = error.strerror or str(error)
        raise ConfigError(
            f"{folder}: cannot be written to ({reason}); give another folder with --out"
        ) from None


@contextmanager
def _whole(folder: Path) -> Iterator[Path]:
    """A folder to write into, whose files take the place of an earlier evaluation's in the end.

    If this one is interrupted before, the earlier one stays as it was.
    """
    with tempfile.TemporaryDirectory(prefix=".evaluation-", dir=folder) as name:
        yield Path(name)
        for old in (METRICS, "report.html", "confusion.png"):  # which not every evaluation has
            (folder / old).unlink(missing_ok=True)
        for file in sorted(Path(name).iterdir(), key=lambda file: file.name == METRICS):
            file.replace(folder / file.name)


def _undecodable(folder: Path, processes: int) -> list[str]:
    """That photos went bad after the build, in a line; no line where none did."""
    files = [folder / bad_samples_file(process) for process in range(processes)]
    count = sum(len(file.read_text().splitlines()) - 1 for file in files if file.is_file())
    if not count:
        return []
    photos, verb = ("photo", "counts") if count == 1 else ("photos", "count")
    names = ", ".join(file.name for file in files if file.is_file())
    return [
        f"{count:,} {photos} could not be decoded and {verb} with the answer to a grey image; "
        f"{names} names them"
    ]


def _doubts(options: EvaluateOptions, store: Store, learnt: int | None) -> list[str]:
    """What makes the figures too good."""
    said = []
    if learnt is None:
        said.append(
            f"{store_of(options.run)} is gone, or no longer the store that {options.run} was "
            "trained on: nobody can tell which of these photos were trained on"
        )
    if learnt:
        said.append(
            f"at least {learnt:,} of these photos were trained on: by their bytes or paths they "
            f"are in the training split of {store_of(options.run)}. The figures are too good; "
            "train anew on this store"
        )
    notes = store.manifest.notes.get("splits", [])
    return said + [f"{options.store}: {note}" for note in notes if "groups of duplicates" in note]


def _warn(options: EvaluateOptions, store: Store, learnt: int | None) -> None:
    """Say what makes figures too good, and which ones are going to be replaced."""
    lines = [f"warning: {doubt}" for doubt in _doubts(options, store, learnt)]
    try:
        before = json.loads((options.folder / METRICS).read_text())
        if before["store_digest"] != fingerprint(store):
            lines.append(
                f"note: replaces the evaluation on {before['store']} in {options.folder}; --out "
                "FOLDER would keep both"
            )
    except (OSError, ValueError, KeyError, TypeError):
        pass  # none there
    for line in lines:
        print(line, file=sys.stderr)


def _draw(
    options: EvaluateOptions,
    folder: Path,
    figures: dict[str, Any],
    predictions: Predictions,
    model: TrainedModel,
) -> None:
    """Draw confusion.png beside the figures and learning_curves.png beside the run."""
    # Imported here: training uses this package, and draws nothing.
    from glr_fast.report import draw_confusion, draw_learning_curves, learning_curves

    known = predictions.take(predictions.labels >= 0)
    title = f"{options.home} on {'+'.join(options.splits)}: accuracy {figures['accuracy']:.1%}"
    interval = figures["intervals"].get("accuracy")
    if interval:
        title += " ({:.1%} to {:.1%})".format(*interval)
    file = folder / "confusion.png"
    draw_confusion(known.labels, known.top[:, 0], model.names, file, title)
    curves = learning_curves(options.home)
    if curves:
        file = options.home / "learning_curves.png"
        try:
            draw_learning_curves(curves, file, f"{options.home}: {model.card.name}")
        except OSError as error:  # somebody else's run
            print(f"warning: no {file} ({error.strerror or error})", file=sys.stderr)


def _report(options: EvaluateOptions, folder: Path, store: Store) -> None:
    """Write the page; tables and figures are worth having without it."""
    try:
        from glr_fast.report.page import write_report
    except ModuleNotFoundError as error:
        print(
            f"no report.html: it needs {error.name}, which is not installed; "
            "pip install 'glr-fast[train]'",
            file=sys.stderr,
        )
    else:
        write_report(folder, options.home, store)


def _open_accelerator(options: EvaluateOptions) -> Accelerator:
    try:
        accelerator = Accelerator(
            mixed_precision=None if options.precision == "auto" else options.precision
        )
    except ValueError as error:
        raise ConfigError(f"--precision {options.precision}: {error}") from None
    apply_gpu_settings(accelerator.device)
    return accelerator


def _about(options: EvaluateOptions, model: TrainedModel, store: Store) -> dict[str, Any]:
    """What was evaluated on what."""
    return {
        "run": str(options.run),
        "checkpoint": model.folder.name,
        "model": model.card.name,
        "image_size": options.image_size or model.card.image_size,
        "trained": model.note,
        "model_classes": model.card.num_classes,
        "store": str(options.store),
        "store_digest": fingerprint(store),
        "splits": options.splits,
    }


def _predict_splits(
    accelerator: Accelerator,
    model: TrainedModel,
    classes: KnownClasses,
    store: Store,
    options: EvaluateOptions,
) -> Predictions:
    card, parts = model.card, []
    size = options.image_size or card.image_size
    reading = LoaderOptions.reading_as(options, batch_size=options.batch_size, image_size=size)
    bad_samples = options.folder / bad_samples_file(accelerator.process_index)
    bad_samples.unlink(missing_ok=True)  # of an earlier evaluation
    for split in options.splits:
        loader = open_loader(
            store,
            split,
            reading,
            rank=Rank(accelerator.process_index, accelerator.num_processes),
            device=accelerator.device,
            train=False,
            bad_samples=bad_samples,
        )
        with loader:
            part = predict(accelerator, model.module, loader, card, classes.relabel, split)
        check_complete(part, store, split)
        parts.append(part)
    return Predictions.joined(parts)
