"""What training and evaluation ask of a GPU and of DDP."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, cast

import pytest
import torch
from accelerate.utils import DDPCommunicationHookType

from glr_fast.config import Config, ModelConfig, OptimConfig
from glr_fast.evaluate_options import EvaluateOptions
from glr_fast.evaluation import evaluation
from glr_fast.gpu_settings import apply_gpu_settings
from glr_fast.run_start import ddp_options


def settings() -> tuple[str, bool, bool]:
    cudnn = torch.backends.cudnn
    return torch.get_float32_matmul_precision(), cudnn.allow_tf32, cudnn.benchmark


@pytest.fixture
def plain() -> Iterator[tuple[str, bool, bool]]:
    was, cudnn = settings(), cast(Any, torch.backends.cudnn)
    torch.set_float32_matmul_precision("highest")
    cudnn.allow_tf32 = cudnn.benchmark = False
    yield settings()
    torch.set_float32_matmul_precision(was[0])
    cudnn.allow_tf32, cudnn.benchmark = was[1:]


def test_only_a_gpu_gets_them(plain: tuple[str, bool, bool]) -> None:
    apply_gpu_settings(torch.device("cpu"))
    assert settings() == plain
    apply_gpu_settings(torch.device("cuda"))
    assert settings() == ("high", True, True)


def test_an_evaluation_asks_for_them_too(monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[torch.device] = []
    monkeypatch.setattr(evaluation, "apply_gpu_settings", asked.append)
    accelerator = evaluation._open_accelerator(EvaluateOptions())
    assert asked == [accelerator.device]


def test_gradients_are_exchanged_without_copies() -> None:
    plain = ddp_options(Config())
    assert plain.gradient_as_bucket_view
    assert not plain.broadcast_buffers
    assert not plain.find_unused_parameters
    assert plain.comm_hook == DDPCommunicationHookType.NO
    options = ddp_options(
        Config(model=ModelConfig(freeze_epochs=1), optim=OptimConfig(compress_gradients=True))
    )
    assert options.find_unused_parameters
    assert options.comm_hook == DDPCommunicationHookType.BF16
