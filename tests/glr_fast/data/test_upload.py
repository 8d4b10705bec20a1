"""Small arrays on their way to the device."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from glr_fast.data.upload import upload


def test_on_the_cpu_the_array_itself_is_used() -> None:
    array = np.arange(6, dtype=np.int64).reshape(2, 3)
    tensor = upload(array, torch.device("cpu"))
    array[0, 0] = 9
    assert tensor.tolist() == [[9, 1, 2], [3, 4, 5]]
    assert not tensor.is_pinned()


def test_for_another_device_it_goes_through_page_locked_memory(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    pinned: list[torch.Tensor] = []

    def pin(tensor: torch.Tensor) -> torch.Tensor:
        pinned.append(tensor)
        return tensor

    monkeypatch.setattr(torch.Tensor, "pin_memory", pin)
    tensor = upload(np.zeros((4, 4), np.float32), torch.device("meta"))
    assert tensor.device.type == "meta"
    assert [t.shape for t in pinned] == [(4, 4)]
