"""What a run decides before its first step."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest

from glr_fast.config import Config, DataConfig
from glr_fast.run_start import with_fitting_batch


@pytest.mark.parametrize(
    ("photos", "processes", "wanted", "batch"),
    [
        (100, 1, 256, 100),
        (100, 3, 256, 99),  # each process gets as many
        (100, 3, 99, 99),
        (100, 3, 100, 100),  # the loader says that it cannot be divided
        (2, 3, 256, 256),
    ],
)
def test_a_batch_larger_than_the_split_is_lowered_to_what_processes_can_share(
    photos: int, processes: int, wanted: int, batch: int, capsys: pytest.CaptureFixture[str]
) -> None:
    store: Any = SimpleNamespace(split_rows=lambda split: range(photos))
    accelerator: Any = SimpleNamespace(num_processes=processes, is_main_process=True)
    config = Config(data=DataConfig(batch_size=wanted))
    assert with_fitting_batch(config, store, accelerator).data.batch_size == batch
    said = capsys.readouterr().err
    assert (f"--data.batch-size {wanted} is larger" in said) == (batch != wanted)
    assert (f"taking {batch}" in said) == (batch != wanted)
