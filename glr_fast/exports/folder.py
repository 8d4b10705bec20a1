"""Writes the folder of an export: whole, under its final name, or not at all."""

from __future__ import annotations

import csv
import json
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import timm
import torch
from torch import Tensor, nn

from glr_fast.checkpoint import CARD, CLASSES, CONFIG, WEIGHTS
from glr_fast.errors import ConfigError
from glr_fast.export_options import ExportOptions, FormatName
from glr_fast.exports.photos import check_photos
from glr_fast.exports.programs import Checked, write_program
from glr_fast.exports.readme import FILES, readme
from glr_fast.heads import classifier, classifier_name
from glr_fast.trained_model import TrainedModel, load_model
from glr_fast.whole_files import write_weights

EXPORT = "export.json"
LABELS = "labels.csv"
THRESHOLDS = "thresholds.json"
README = "README.md"
_OWN = {*FILES, README}
"""All that an export may hold."""


@dataclass(frozen=True)
class Export:
    """A folder that ``export`` wrote."""

    folder: Path
    """Where it is."""
    programs: tuple[Checked, ...]
    """ONNX and ``torch.export`` programs, with how far their answers are from the model's."""


def export(options: ExportOptions) -> Export:
    """Write a trained model as a folder for other programs.

    ``model.safetensors`` with timm's names, ``model.json`` and ``classes.parquet`` (together they
    are what ``load_model`` takes), ``labels.csv``, ``README.md``, ``export.json``; where they are
    known, ``config.json`` of the run and ``thresholds.json``; and as asked ``model.onnx`` and
    ``model.pt2``: (N, 3, S, S) uint8 RGB to (N, classes) float32 probabilities.

    Returns:
        The folder, and the worst difference of each program from the model.

    Raises:
        ConfigError: no such model, a damaged one, an output that exists, or a format that cannot
            be written.
        StoreError: no store at ``options.store``.
    """
    check_free(options.out, options.overwrite)
    model = _with_plain_probabilities(load_model(options.model, options.checkpoint, "cpu"))
    run = _run_of(model.folder)
    with _written_whole(options.out) as folder:
        facts = _write_model(model, run, folder)
        programs: list[Checked] = []
        asked: list[FormatName] = [name for name in options.chosen if name != "safetensors"]
        if asked:
            photos, source = check_photos(model, options.store, run)
            programs = [write_program(name, model, photos, source, folder) for name in asked]
        facts["programs"] = {program.file: asdict(program) for program in programs}
        (folder / EXPORT).write_text(json.dumps(facts, indent=1) + "\n")
        (folder / README).write_text(readme(model, facts, sorted(_names(folder))))
    return Export(options.out, tuple(programs))


def _write_model(model: TrainedModel, run: Path | None, folder: Path) -> dict[str, Any]:
    """Write weights, card, classes and what the run knows; returns the facts of ``export.json``."""
    write_weights(model.module.state_dict(), folder / WEIGHTS, model.note)
    (folder / CARD).write_text(model.card.to_json())
    pq.write_table(model.classes, folder / CLASSES)
    with open(folder / LABELS, "w", newline="", encoding="utf-8") as file:
        rows = csv.writer(file)
        rows.writerow(["label", "landmark_id", "name", "train"])
        columns = (model.landmark_ids, model.names, model.train_counts.tolist())
        rows.writerows(zip(range(model.card.num_classes), *columns, strict=True))
    before = _read(model.folder / EXPORT)  # an export of an export knows what the first one knew
    figures = _figures(run, model) if run else before.get("figures", {})
    thresholds = figures.get("val", {}).pop("thresholds", None) or _read(model.folder / THRESHOLDS)
    if thresholds:
        (folder / THRESHOLDS).write_text(json.dumps(thresholds, indent=1) + "\n")
    for place in (run, model.folder):
        if place and (place / CONFIG).is_file():
            (folder / CONFIG).write_bytes((place / CONFIG).read_bytes())
            break
    return {
        "exported_from": before.get("exported_from", str(model.folder)),
        "parameters": sum(value.numel() for value in model.module.parameters()),
        "timm": model.card.is_timm,
        "versions": {"timm": timm.__version__, "torch": str(torch.__version__)},
        "trained": model.note,
        "figures": figures,
    }


def _with_plain_probabilities(model: TrainedModel) -> TrainedModel:
    """The model with a linear head's logit scale inside its weights.

    Then ``softmax(model(images))`` are the probabilities for whoever knows timm only.
    """
    scale, head = model.card.logit_scale, classifier(model.module)
    if scale == 1 or model.card.head != "linear" or not isinstance(head, nn.Linear | nn.Conv2d):
        return model
    name = classifier_name(model.module)
    weights: dict[str, Tensor] = dict(model.module.state_dict())
    for key in (f"{name}.weight", f"{name}.bias"):
        if key in weights:
            weights[key] = weights[key] * scale
    model.module.load_state_dict(weights)
    return replace(model, card=replace(model.card, logit_scale=1.0))


def _figures(run: Path, model: TrainedModel) -> dict[str, Any]:
    """Figures of the run's evaluations of these weights, by split: the few that a card shows."""
    kept = ("photos", "classes", "accuracy", "top5_accuracy", "macro_f1", "gap", "store")
    kept += ("thresholds",)
    found = {}
    for file in sorted(run.glob("eval-*/metrics.json")):
        figures = _read(file)
        named = file.parent.name == f"eval-{'-'.join(figures.get('splits', ()))}"
        known = "+".join(figures.get("splits", ())) in found  # then only the one with its name
        if model.is_of(figures) and figures.get("splits") and (named or not known):
            chosen = {name: figures[name] for name in kept if figures.get(name) is not None}
            if figures.get("warnings"):
                chosen["warnings"] = figures["warnings"]
            if figures["splits"] != ["val"]:
                chosen.pop("thresholds", None)
            found["+".join(figures["splits"])] = chosen
    return found


def _run_of(folder: Path) -> Path | None:
    """The run folder that holds ``best/`` or a checkpoint; None for any other folder."""
    for parent in (folder.parent, folder.parent.parent):
        if (parent / CONFIG).is_file() and folder in (
            parent / "best",
            parent / "checkpoints" / folder.name,
        ):
            return parent
    return None


def check_free(out: Path, overwrite: bool) -> None:
    """Make sure that an export may be written to ``out``.

    Raises:
        ConfigError: something is there, or an export and ``overwrite`` is not given.
    """
    if out.is_symlink() or (out.exists() and not out.is_dir()):
        raise ConfigError(f"--out {out}: not a folder")
    if not out.is_dir() or not any(out.iterdir()):
        return
    if not (out / EXPORT).is_file():
        raise ConfigError(f"--out {out}: exists and is no export; give another folder")
    if not overwrite:
        raise ConfigError(f"--out {out}: already exists; --overwrite replaces it")
    others = sorted(path.name for path in out.iterdir() if path.name not in _OWN)
    if others:
        raise ConfigError(
            f"--out {out}: --overwrite would delete {', '.join(others[:3])}, which no export "
            "writes; move them away, or give another folder"
        )


@contextmanager
def _written_whole(out: Path) -> Iterator[Path]:
    """A folder to write into, which gets its name when the block is done, and else disappears."""
    temporary, old = (out.with_name(f".{out.name}.{kind}") for kind in ("tmp", "old"))
    try:
        shutil.rmtree(temporary, ignore_errors=True)
        temporary.mkdir(parents=True)
        yield temporary
        shutil.rmtree(old, ignore_errors=True)
        if out.exists():
            out.rename(old)
        temporary.rename(out)
    except OSError as error:
        raise ConfigError(f"--out {out}: cannot be written ({error.strerror or error})") from None
    finally:
        shutil.rmtree(temporary, ignore_errors=True)
        if not out.exists() and old.exists():
            old.rename(out)  # stopped between the two renames
        shutil.rmtree(old, ignore_errors=True)


def _names(folder: Path) -> list[str]:
    return [file.name for file in folder.iterdir()]


def _read(file: Path) -> dict[str, Any]:
    """A JSON object, empty where the file is missing or damaged."""
    try:
        read = json.loads(file.read_text())
    except (OSError, ValueError):
        return {}
    return read if isinstance(read, dict) else {}
