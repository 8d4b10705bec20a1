"""Looking at what a run leaves."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import torch

from glr_fast.checkpoint import METRICS, WEIGHTS, TrainState
from glr_fast.checkpoint_writer import OPTIMIZER


def read_metrics(run: Path) -> list[dict[str, Any]]:
    """The lines of a run's ``metrics.jsonl``, oldest first."""
    file = run / METRICS
    return [json.loads(line) for line in file.read_text().splitlines()] if file.is_file() else []


def assert_same_checkpoint(one: Path, other: Path) -> None:
    """Two checkpoints hold the same weights, moments and state, to the bit.

    The optimiser's files may differ: pickle writes an object that is met twice only once.
    """
    assert one.name == other.name
    assert (one / WEIGHTS).read_bytes() == (other / WEIGHTS).read_bytes()
    assert TrainState.read(one) == TrainState.read(other)
    moments = [torch.load(folder / OPTIMIZER, weights_only=True) for folder in (one, other)]
    assert moments[0]["param_groups"] == moments[1]["param_groups"]
    assert moments[0]["state"].keys() == moments[1]["state"].keys()
    for key, values in moments[0]["state"].items():
        assert values.keys() == moments[1]["state"][key].keys()
        for name, value in values.items():
            assert torch.equal(value, moments[1]["state"][key][name]), (key, name)
