"""The benchmark of predictions on a few generated photos."""

from __future__ import annotations

from pathlib import Path

import pytest

pytest.importorskip("accelerate")

from benchmarks import bench_predict
from benchmarks.samples import Sample


def test_it_runs_and_writes_its_page(tmp_path: Path) -> None:
    bench_predict.main(["--small", "--repetitions", "1", "--result", str(tmp_path / "page.md")])
    page = (tmp_path / "page.md").read_text()
    lines = [line for line in page.splitlines() if line.startswith("| `test_resnet`")]
    assert len(lines) == len(bench_predict.WAYS)
    assert all("| 24 |" in line for line in lines)


def test_too_slow_is_said(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def samples(*_: object) -> dict[str, list[Sample]]:
        return {way: [Sample(10, seconds, 1)] for way, seconds in (("store", 1), ("full", 1.2))}

    monkeypatch.setattr(bench_predict, "measure", samples)
    monkeypatch.setattr(bench_predict, "SMALL", (bench_predict.Network("resnet50", 24, True),))
    with pytest.raises(SystemExit, match=r"less than 0\.9 .*: resnet50"):
        bench_predict.main(["--small", "--result", str(tmp_path / "page.md")])
    assert "0.83 (0.83 to 0.83)" in (tmp_path / "page.md").read_text()
