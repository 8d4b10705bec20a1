"""Jobs travel whole, and a contender that fails says why."""

from __future__ import annotations

import itertools
import sys
from pathlib import Path

import pytest

from benchmarks.harness import PeerError, Worker, write_job
from benchmarks.peers import NAMES, Job
from benchmarks.worker import describe, measure, read_job


def test_a_job_comes_back_equal(tmp_path: Path) -> None:
    job = Job(Path("/a"), tmp_path, batch_size=8, scale=(0.5, 1.0))
    assert read_job(write_job(job, tmp_path / "job.json")) == job


def test_every_contender_is_a_module() -> None:
    folder = Path(__file__).parents[2] / "benchmarks/peers"
    modules = {path.stem for path in folder.glob("*.py")} - {"__init__", "image_files"}
    assert modules == set(NAMES)


def test_measuring_ends_at_a_multiple_of_the_workers() -> None:
    taken = []
    batches = (taken.append(n) or range(10) for n in itertools.count())
    job = Job(Path("/a"), Path("/b"), workers=3, prefetch=4)
    found = measure(batches, seconds=0.0, job=job)
    assert len(taken) >= 13  # what lay ready when the clock started does not count
    assert found["photos"] in (0, 30)
    found = measure(batches, seconds=0.001, job=job)
    assert found["photos"] % 30 == 0
    assert found["photos"] > 0


def test_a_bound_has_no_images() -> None:
    assert describe(range(4)) == {"output": "none", "mean": None}


@pytest.mark.slow
def test_a_worker_measures_again_and_again(store: Path, tmp_path: Path) -> None:
    job = Job(store, tmp_path, batch_size=8, image_size=32)
    with Worker("glr_cpu", job, Path(sys.executable)) as worker:
        assert worker.ready.shape == [8, 3, 32, 32]
        rates = [worker.measure(0.05).rate for _ in range(2)]
        assert worker.ready.axes["batch_size"] == [256, 128, 64, 32]
        other = worker.measure(0.05, {"batch_size": 6, "workers": 1})
    assert min(rates) > 0
    assert other.photos % 6 == 0


def test_a_contender_that_fails_says_why(tmp_path: Path) -> None:
    job = Job(tmp_path / "no-store", tmp_path)
    with pytest.raises(PeerError, match="no-store"):
        Worker("glr_cpu", job, Path(sys.executable))
