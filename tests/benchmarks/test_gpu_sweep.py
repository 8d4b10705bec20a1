"""What of the GPU sweep needs no GPU: its settings, its rounds, its page."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from benchmarks import bench_loader_gpu as sweep
from benchmarks.samples import Sample


def test_without_a_gpu_it_says_so(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("torch.cuda.is_available", lambda: False)
    monkeypatch.setattr("sys.argv", ["bench_loader_gpu"])
    sweep.main()
    assert capsys.readouterr().out == "no GPU\n"


def test_each_setting_differs_from_the_base() -> None:
    found = sweep.settings()
    base = found.pop(sweep.BASE)
    assert all(setting != base for setting in found.values())
    assert found["preallocate"].decoder.preallocate


def test_a_failure_is_reported_and_the_rest_goes_on() -> None:
    def broken() -> Iterator[int]:
        raise RuntimeError("no such engine\nmore")
        yield 0

    def works() -> Iterator[int]:
        while True:
            yield 8

    contenders = {"broken": broken, "works": works}
    samples, failed = sweep.sweep(contenders, rounds=2, seconds=0.001, minutes=1)
    assert failed == {"broken": "no such engine"}
    assert len(samples["works"]) == 2


def test_the_page_judges_the_fastest_loader() -> None:
    turns = {name: [Sample(rate, 1.0, 1.0)] for name, rate in _RATES.items()}
    page = sweep.report(turns, {})
    assert "| fastest loader / ResNet-50 step | 1.5 | 2.00 (2.00 to 2.00) | met |" in page
    assert "| fastest loader / bare full decode | 0.85 | 0.50 (0.50 to 0.50) | missed |" in page


_RATES = {sweep.DECODE: 4000, sweep.STEP: 1000, sweep.BASE: 1500, "queue 5": 2000}
