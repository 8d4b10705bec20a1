"""What a log line says of the batches since the last one, and what of it a checkpoint keeps."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest
import torch

from glr_fast.errors import TrainingError
from glr_fast.running_sums import RunningSums


def sums(main: bool = True) -> RunningSums:
    """Of the only process, or of another than the main one."""
    accelerator: Any = SimpleNamespace(
        device=torch.device("cpu"), is_main_process=main, reduce=lambda tensor, how: tensor.clone()
    )
    return RunningSums(accelerator)


def added(loss: float, right: int, photos: int) -> RunningSums:
    found = sums()
    found.add(torch.tensor(loss), torch.tensor(right), photos)
    return found


def test_means_are_over_photos_not_over_batches() -> None:
    found = added(1.0, 3, 4)
    found.add(torch.tensor(3.0), torch.tensor(0), 2)
    line = found.figures(9, 1.0, {})
    assert line["train/loss"] == pytest.approx(10 / 6)
    assert line["train/accuracy"] == pytest.approx(0.5)


def test_evaluations_and_saves_do_not_count_as_training() -> None:
    line = added(1.0, 0, 60).figures(9, 10.0, {"evaluate": 5.0, "save": 2.0, "data": 0.3})
    assert line["throughput(images/s)"] == pytest.approx(60 / 3)
    assert line["data_wait(%)"] == pytest.approx(10)


def test_photos_of_an_earlier_process_count_in_the_means_but_not_in_the_rate() -> None:
    found = sums()
    found.restore((8.0, 2.0, 4.0))
    found.add(torch.tensor(1.0), torch.tensor(4), 4)
    line = found.figures(9, 2.0, {})
    assert line["train/loss"] == pytest.approx(12 / 8)
    assert line["train/accuracy"] == pytest.approx(6 / 8)
    assert line["throughput(images/s)"] == pytest.approx(4 / 2)
    found.clear()
    found.add(torch.tensor(1.0), torch.tensor(4), 4)
    assert found.figures(9, 2.0, {})["throughput(images/s)"] == pytest.approx(4 / 2)


def test_what_was_read_is_restored_by_one_process_for_all() -> None:
    kept = added(1.5, 1, 4).read(3)
    main, other = sums(), sums(main=False)
    main.restore(kept)
    other.restore(kept)
    assert main.read(3) == kept == (6, 1, 4)
    assert other.read(3) == (0, 0, 0)
    assert other.photos_before == 4  # of the sum over all processes


@pytest.mark.parametrize("loss", [float("nan"), float("inf")])
def test_a_loss_that_is_not_finite_is_told(loss: float) -> None:
    with pytest.raises(TrainingError, match="the loss is not finite at or shortly before step 9"):
        added(loss, 0, 4).read(9)
