"""How the first hour on a GPU reads a trace: whose kernels ran when."""

from __future__ import annotations

import itertools

import pytest
from hypothesis import given
from hypothesis import strategies as st

from benchmarks.gpu_feeds import Busy, length, union


def kernel(stream: int, first: float, last: float, name: str = "k") -> dict[str, object]:
    return {
        "cat": "kernel",
        "name": name,
        "ts": first,
        "dur": last - first,
        "args": {"stream": stream},
    }


def test_streams_are_told_apart() -> None:
    events = [
        kernel(7, 0, 400_000, "gemm"),
        kernel(7, 500_000, 1_000_000, "gemm"),
        kernel(20, 300_000, 450_000, "resize"),
        kernel(21, 350_000, 550_000, "chroma"),
        kernel(20, 600_000, 700_000, "resize"),
        {"cat": "cpu_op", "name": "aten::mm", "ts": 0, "dur": 9, "args": {}},
        {"name": "no category", "ph": "M"},
    ]
    busy = Busy.of(events)
    assert busy.model == pytest.approx(0.9)
    assert busy.idle == pytest.approx(0.1)
    assert busy.others == pytest.approx(0.35)
    assert busy.both == pytest.approx(0.25)
    assert [name for name, _ in busy.heaviest] == ["resize", "chroma"]
    assert [seconds for _, seconds in busy.heaviest] == pytest.approx([0.25, 0.2])
    assert busy.text(10) == (
        "GPU ms a step: model 90.00, idle 10.00, decoder 35.00, of it beside 25.00"
    )


def test_without_kernels_nothing_was_busy() -> None:
    assert Busy.of([{"ph": "M"}]) == Busy(0, 0, 0, 0, [])


spans = st.lists(st.tuples(st.integers(0, 60), st.integers(1, 9)).map(lambda s: (s[0], sum(s))))


@given(spans)
def test_a_union_covers_what_its_spans_cover(found: list[tuple[int, int]]) -> None:
    covered = {tick for first, last in found for tick in range(first, last)}
    merged = list(union(found))
    assert length(merged) == len(covered)
    assert all(a[1] < b[0] for a, b in itertools.pairwise(merged))
