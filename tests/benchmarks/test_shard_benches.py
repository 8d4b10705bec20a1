"""The benchmarks of shard_tools on little data: that they fit what they measure."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from benchmarks import bench_duplicates, bench_scale
from shard_tools.duplicates.grouping import group_photos
from shard_tools.store.store import Store


def test_planted_copies_are_found_and_no_others() -> None:
    table, pairs = bench_duplicates.planted(3000, 40)
    roots, _ = group_photos(table)
    assert (roots[pairs[:, 0]] == roots[pairs[:, 1]]).all()
    grouped = np.flatnonzero(np.bincount(roots, minlength=3000)[roots] > 1)
    assert set(grouped) == set(pairs.ravel())


def test_every_stage_of_the_scale_benchmark_runs(tmp_path: Path) -> None:
    if not bench_scale.COUNTS.is_file():
        pytest.skip(f"{bench_scale.COUNTS} is not here")
    times: bench_scale.Times = {}
    bench_scale.synthesise(tmp_path, 3000)
    for stages in (bench_scale.plan_stages, bench_scale.index_stages, bench_scale.open_stages):
        stages(tmp_path, times)
    assert Store.open(tmp_path / "store").manifest.counts["photos"] == 3000
    assert {*bench_scale.PLANNING, *bench_scale.FINISHING} < set(times)
    assert all(seconds >= 0 for seconds in times.values())
