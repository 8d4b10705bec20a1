"""Trainings on a CPU that would not fit into memory are told so before they are killed."""

from __future__ import annotations

from pathlib import Path

import pytest
from torch import nn

from glr_fast import memory
from glr_fast.config import Config, DataConfig
from glr_fast.free_memory import free_memory
from glr_fast.memory import activation_bytes, memory_warning, warning_of

GB = 10**9


def test_what_the_backward_pass_needs_counts_once() -> None:
    model = nn.Sequential(nn.Conv2d(3, 4, 3, padding=1), nn.ReLU(inplace=True), nn.Conv2d(4, 2, 1))
    # The image, and the output of ReLU, which the second convolution needs too.
    assert activation_bytes(model, 10) == 4 * (3 * 10 * 10 + 4 * 10 * 10)
    assert model.training
    assert all(parameter.grad is None for parameter in model.parameters())


def test_statistics_of_batches_are_left_alone() -> None:
    model = nn.Sequential(nn.BatchNorm2d(3), nn.Conv2d(3, 1, 1))
    before = {name: value.clone() for name, value in model.state_dict().items()}
    assert activation_bytes(model, 8) > 0
    assert all(value.equal(before[name]) for name, value in model.state_dict().items())


@pytest.mark.parametrize(
    ("needed", "free", "batch", "said"),
    [
        (8 * GB, 10 * GB, 256, None),
        (8 * GB, None, 256, None),
        (10 * GB, 10 * GB, 256, "--data.batch-size 128 --optim.accumulate-steps 2"),
        (27 * GB, 21 * GB, 256, "--data.batch-size 128 --optim.accumulate-steps 2"),
        (60 * GB, 10 * GB, 256, "--data.batch-size 32 --optim.accumulate-steps 8"),
        (60 * GB, GB, 4, "--data.batch-size 1 --optim.accumulate-steps 4"),
    ],
)
def test_what_fits_is_proposed(needed: int, free: int | None, batch: int, said: str | None) -> None:
    found = memory_warning(needed, free, batch)
    assert (found or "").endswith(said or "")
    assert (found is None) == (said is None)


@pytest.mark.parametrize(
    ("limit", "free"), [(None, 4096 * 1024), ("max", 4096 * 1024), ("1000000", 1_000_000)]
)
def test_a_container_limits_what_is_free(limit: str | None, free: int, tmp_path: Path) -> None:
    (tmp_path / "meminfo").write_text("MemTotal: 9000 kB\nMemAvailable:    4096 kB\n")
    if limit is not None:
        (tmp_path / "max").write_text(f"{limit}\n")
    assert free_memory(tmp_path / "meminfo", tmp_path / "max") == free
    assert free_memory(tmp_path / "absent", tmp_path / "max") is None


def test_processes_of_a_machine_share_its_memory(monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[float] = []
    monkeypatch.setattr(memory, "memory_warning", lambda needed, *_: asked.append(needed))
    model = nn.Conv2d(3, 4, 1)
    states, image = 3 * 4 * 16, 4 * 3 * 64 * 64
    config = Config(data=DataConfig(batch_size=8, image_size=64))
    for here, processes in ((1, 1), (2, 2), (2, 4)):
        monkeypatch.setenv("LOCAL_WORLD_SIZE", str(here))
        warning_of(config, model, processes)
        assert asked[-1] == pytest.approx(here * states + 1.15 * image * 8 * here / processes)
