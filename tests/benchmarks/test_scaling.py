"""docs/scale.md says what benchmarks/scaling.py computes, and that is sound."""

from __future__ import annotations

import pytest

from benchmarks import scaling
from benchmarks.scaling import ETHERNET, FABRIC, NETWORKS, NVLINK, efficiency, exchange_ms
from tests.conftest import REPOSITORY


def test_the_page_has_the_tables() -> None:
    page = (REPOSITORY / "docs" / "scale.md").read_text()
    for table in (scaling.traffic_table(), scaling.scaling_table(), scaling.loader_table()):
        assert table in page


def test_parameters_are_those_of_the_models() -> None:
    import timm

    for net in NETWORKS:
        model = timm.create_model(net.name, num_classes=10)
        backbone = sum(p.numel() for p in model.parameters()) - (net.features + 1) * 10
        assert model.num_features == net.features
        assert backbone == pytest.approx(net.backbone, rel=0.01)


def test_an_exchange_takes_what_a_ring_takes() -> None:
    net = NETWORKS[0]
    assert exchange_ms(net, 8, NVLINK, 4) == pytest.approx(net.gradient_mb(4) * 1.75 / 230)
    two = exchange_ms(net, 16, ETHERNET, 4) - exchange_ms(net, 8, NVLINK, 4)
    assert two == pytest.approx(net.gradient_mb(4) / 11)  # each machine sends all of them once
    assert exchange_ms(net, 64, FABRIC, 2) == pytest.approx(exchange_ms(net, 64, FABRIC, 4) / 2)


def test_what_is_hidden_costs_nothing() -> None:
    net = NETWORKS[0]
    assert efficiency(net, 8, NVLINK, 4) == 1
    assert efficiency(net, 64, ETHERNET, 4) < efficiency(net, 64, ETHERNET, 2) < 1
