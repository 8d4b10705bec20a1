"""Seconds of the losses and heads of benchmarks/bench_classes.py, without a network before them."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

BATCH = 64
FEATURES = 2048
ROUNDS = 7


def head(classes: int) -> dict[str, Any]:
    """Seconds of the losses, of the head's matrix products and of the optimiser, interleaved."""
    import torch

    from glr_fast.config import LossConfig
    from glr_fast.heads import CosineHead, Float32Linear
    from glr_fast.losses import build_loss

    torch.manual_seed(0)
    counts = torch.randint(1, 100, (classes,))
    features = torch.randn(BATCH, FEATURES, requires_grad=True)
    labels = torch.randint(0, classes, (BATCH,))
    weight = (0.01 * torch.randn(classes, FEATURES)).requires_grad_()
    gradient = torch.randn(BATCH, classes)
    logits = torch.randn(BATCH, classes, requires_grad=True)
    grad_weight, grad_features = torch.empty_like(weight), torch.empty_like(features)
    outputs = torch.empty(BATCH, classes)

    def products() -> None:
        with torch.no_grad():
            torch.mm(features, weight.T, out=outputs)
            torch.mm(gradient.T, features, out=grad_weight)
            torch.mm(gradient, weight, out=grad_features)

    def of_loss(name: str, scale: float, scaled: float) -> Callable[[], None]:
        loss = build_loss(LossConfig(name=name), counts, scale, scaled)  # type: ignore[arg-type]

        def step() -> None:
            logits.grad = None
            loss(logits, labels).backward()

        return step

    def of_adamw(fused: bool) -> Callable[[], None]:
        parameter = torch.zeros(classes, FEATURES, requires_grad=True)
        parameter.grad = grad_weight
        return torch.optim.AdamW([parameter], fused=fused, foreach=None).step

    def of_gradient(work: Callable[[torch.Tensor], object]) -> Callable[[], None]:
        def step() -> None:
            work(grad_weight)

        return step

    def of_linear(kind: type[torch.nn.Linear]) -> Callable[[], None]:
        layer = kind(FEATURES, classes)

        def step() -> None:
            layer.zero_grad()
            with torch.autocast("cpu", dtype=torch.bfloat16):
                layer(features.detach()).sum().backward()

        return step

    def of_cosine(inside: float, centers: int) -> Callable[[], None]:
        layer = CosineHead(FEATURES, classes, inside, centers)
        layer.weight.requires_grad_(False)
        return lambda: _forward(layer, features, 30 / inside)

    timed: dict[str, Callable[[], None]] = {
        "products": products,
        "ce": of_loss("ce", 1.0, 1.0),
        "ldam": of_loss("ldam", 1.0, 1.0),
        "ldam_30_outside": of_loss("ldam", 30.0, 1.0),
        "ldam_30_inside": of_loss("ldam", 30.0, 30.0),
        "logit_adjustment": of_loss("logit_adjustment", 1.0, 1.0),
        "arcface": of_loss("arcface", 30.0, 30.0),
    }
    found = interleaved(timed)
    # The rest one by one: each holds gigabytes.
    for name, make in (
        ("norm", lambda: of_gradient(torch.linalg.vector_norm)),
        ("clip", lambda: of_gradient(lambda gradient: gradient.mul_(0.999))),
        ("adamw_fused", lambda: of_adamw(True)),
        ("adamw_default", lambda: of_adamw(False)),
        ("linear_bf16", lambda: of_linear(torch.nn.Linear)),
        ("linear_float32", lambda: of_linear(Float32Linear)),
        ("cosine_forward", lambda: of_cosine(30.0, 1)),
        ("cosine_forward_outside", lambda: of_cosine(1.0, 1)),
        ("subcenter_forward", lambda: of_cosine(30.0, 3)),
    ):
        found |= interleaved({name: make()}, rounds=5)
    return {"classes": classes, "seconds": found, "threads": torch.get_num_threads()}


def _forward(layer: Any, features: Any, rest: float) -> None:
    import torch

    with torch.no_grad():
        cosines = layer(features)
        if rest != 1:
            torch.mul(cosines, rest)


def interleaved(
    timed: dict[str, Callable[[], None]], rounds: int = ROUNDS
) -> dict[str, list[float]]:
    """Seconds of each in each round, after one round that does not count."""
    seconds: dict[str, list[float]] = {name: [] for name in timed}
    for number in range(rounds + 1):
        for name, step in timed.items():
            started = time.perf_counter()
            step()
            if number:
                seconds[name].append(time.perf_counter() - started)
    return seconds
