"""The page of benchmarks/bench_classes.py, from what its parts have left."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from statistics import median
from typing import Any

from benchmarks.samples import Spread, table

LOSSES = {
    "ce": "cross-entropy",
    "ldam": "LDAM, s = 1",
    "ldam_30_inside": "LDAM, s = 30 in the head",
    "ldam_30_outside": "LDAM, s = 30 on the logits",
    "logit_adjustment": "logit adjustment",
    "arcface": "ArcFace",
}
OTHERS = {
    "norm": "norm of the head's gradient",
    "clip": "clipping of it: times a number, in place",
    "adamw_fused": "AdamW's update of the head, fused (as it is)",
    "adamw_default": "the same, torch's default",
    "linear_bf16": "linear head under bf16 autocast, forward and backward",
    "linear_float32": "the same with `--model.float32-head`",
    "cosine_forward": "cosine head, forward, s = 30 on the features (as it is)",
    "cosine_forward_outside": "the same, s = 30 on the cosines",
    "subcenter_forward": "sub-center head (3 centers), forward",
}


def page(parts: Mapping[str, Mapping[str, Any]]) -> str:
    """The text.

    Args:
        parts: by name: store, head, train-81313, train-1000, resume-81313; what is missing is left
            out.
    """
    written = [_STORE.format(**parts["store"])] if "store" in parts else []
    trained = {name: part for name, part in parts.items() if name.startswith("train-")}
    if trained:
        written.append(_training(trained, parts.get("head")))
    if "head" in parts:
        written.append(_head(parts["head"]))
    large = max(trained.values(), key=lambda part: part["classes"], default=None)
    if large:
        written.append(_saving(large, [p for n, p in parts.items() if n.startswith("resume-")]))
    places = sorted({part["where"] for part in parts.values() if "where" in part})
    return (
        "# 81,313 classes\n\nResNet-50 at 32 x 32 pixels, batches of 64, float32, on the CPU: what "
        "depends on the number of classes.\n\n"
        + "\n".join(written)
        + "\n"
        + "\n\n".join(places)
        + "\n\nWritten by `python -m benchmarks.bench_classes page`; its head says how the parts "
        "are run.\n"
    )


_STORE = """The store: {photos:,} generated photos of {classes:,} classes in the shape of the true
counts. Generated in {generate_s:.0f} s, built in {build_s:.0f} s (its largest classes alone:
{build_few_s:.0f} s).
"""


def _training(trained: Mapping[str, Mapping[str, Any]], head: Mapping[str, Any] | None) -> str:
    rows = []
    for part in sorted(trained.values(), key=lambda part: part["classes"]):
        rows.append(
            [
                f"{part['classes']:,}",
                Spread.of(part["steps_s"]).text(2),
                f"{64 / median(part['steps_s']):.0f}",
                f"{part['peak_training_gib']:.1f}",
                f"{part['peak_gib']:.1f}",
            ]
        )
    text = "## Training\n\n" + table(
        ["classes", "step in s", "photos/s", "peak memory in training, GiB", "in all, GiB"], rows
    )
    steps = {part["classes"]: median(part["steps_s"]) for part in trained.values()}
    if head and len(steps) == 2:
        products = median(head["seconds"]["products"])
        small, large = steps[min(steps)], steps[max(steps)]
        added = large - small
        alone = {
            name: median(head["seconds"][name]) for name in ("adamw_fused", "norm", "clip", "ce")
        }
        moved = 7 * 4 * 2048 * max(steps) / 1e9
        text += f"""

The head's three matrix products alone (outputs, and the gradients of weights and features) take
{products:.2f} s. The {max(steps):,} classes add {added:.2f} s to a step, {added / products:.2f}
times that; aimed at: 1.3 times. Alone, AdamW's update takes {alone["adamw_fused"]:.2f} s more, the
norm of the gradient {alone["norm"]:.2f} s, clipping it {alone["clip"]:.2f} s, the loss
{alone["ce"]:.2f} s: {(products + sum(alone.values())) / products:.2f} times with the products.
AdamW reads and writes seven times the head's size, at {moved / alone["adamw_fused"]:.0f} GB/s."""
    return text + "\n"


def _head(head: Mapping[str, Any]) -> str:
    seconds = head["seconds"]
    losses = [
        [
            title,
            Spread.of([1000 * s for s in seconds[name]]).text(0),
            _ratio(seconds[name], seconds["ce"]),
        ]
        for name, title in LOSSES.items()
    ]
    others = [
        [title, Spread.of([1000 * s for s in seconds[name]]).text(0)]
        for name, title in OTHERS.items()
    ]
    return f"""## Losses and heads

Forward and backward of a loss on logits of 64 x {head["classes"]:,}, in ms, interleaved; then
single parts of a step. {head["threads"]} threads.

{table(["loss", "ms", "over cross-entropy"], losses)}

{table(["part", "ms"], others)}
"""


def _ratio(own: Sequence[float], other: Sequence[float]) -> str:
    return Spread.of([a / b for a, b in zip(own, other, strict=True)]).text(2)


def _saving(part: Mapping[str, Any], resumed: Sequence[Mapping[str, Any]]) -> str:
    usual = median(part["steps_s"])
    wait, whole = part["save_wait_s"], part["save_s"]
    first_wait, first = part["first_save_wait_s"], part["first_save_s"]
    text = f"""## Saving, resuming, evaluating

A checkpoint of {part["checkpoint_gb"]:.1f} GB is whole after {whole:.1f} s. Training waits
{wait:.2f} s of it ({wait / whole:.0%}; aimed at: under 5%), for the copy from which it is written.
The first save of a run, whose memory is got from the system in the background after the first step,
takes {first:.1f} s, and training waits {first_wait:.2f} s of it ({first_wait / first:.0%})"""
    during = part["steps_during_save_s"]
    if during:
        slower = sum(during) - len(during) * usual
        text += f""". The {len(during)} steps
that are done meanwhile take {slower / len(during):+.2f} s each more than usual ({slower:+.1f} s in
all), since the write takes some of a core's time"""
    text += f""".

An evaluation of {part["evaluated_photos"]:,} photos takes {part["evaluate_s"]:.1f} s
(evaluate_memory.md has its memory)."""
    for run in resumed:
        text += f"""
A resumed run is loaded after {run["load_s"]:.1f} s and has done its first step after
{run["first_step_after_s"]:.1f} s, with a peak of {run["peak_gib"]:.1f} GiB."""
    return text + "\n"
