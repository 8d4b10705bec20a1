"""SIGKILL at any step, and in the midst of writing a checkpoint: resumed, equal to the bit.

Two kills here; ``GLR_KILLS=20 pytest tests/integration/test_killed_runs.py`` makes that many, each
in a run of its own.
"""

from __future__ import annotations

import os
import random
import subprocess
import sys
from pathlib import Path

import pytest

from glr_fast.checkpoint import CONFIG
from tests.helpers.runs import assert_same_checkpoint
from tests.integration.test_train import REPOSITORY, config, figures

KILLS = int(os.environ.get("GLR_KILLS", "2"))
STEPS = 24
WRITES = 24
"""Files of checkpoints that the run writes: four each of six checkpoints."""


def moments(count: int) -> list[str]:
    """When to kill: half of them before a step, half within a write."""
    drawn = random.Random(count)
    writes = [f"write:{drawn.randrange(1, WRITES)}" for _ in range(count // 2)]
    return [str(drawn.randrange(1, STEPS)) for _ in range(count - len(writes))] + writes


def run(out: Path, when: str) -> int:
    """Train in a process, from the newest checkpoint on; its exit code."""
    command = [sys.executable, "-m", "tests.helpers.killed_run", when]
    command += ["--resume", "--out", str(out)]
    # Equal threads give equal bits.
    environment = {**os.environ, "OMP_NUM_THREADS": "1", "ACCELERATE_USE_CPU": "true"}
    done = subprocess.run(
        command, cwd=REPOSITORY, env=environment, capture_output=True, text=True, check=False
    )
    assert done.returncode in (0, -9), done.stderr
    return done.returncode


def begun(store: Path, out: Path) -> Path:
    out.mkdir(parents=True)
    (out / CONFIG).write_text(config(store, out).to_json())
    return out


@pytest.fixture(scope="module")
def whole(store: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = begun(store, tmp_path_factory.mktemp("whole") / "run")
    assert run(out, "never") == 0
    return out


@pytest.mark.parametrize("when", moments(KILLS))
def test_a_killed_run_continues_to_the_bit(
    store: Path, whole: Path, tmp_path: Path, when: str
) -> None:
    out = begun(store, tmp_path / "run")
    assert run(out, when) == -9
    assert run(out, "never") == 0
    for name in ("train/loss", "val/loss"):
        assert figures(out, name) == figures(whole, name)
    last = f"checkpoints/step-{STEPS:08d}"
    assert_same_checkpoint(out / last, whole / last)
    kept = sorted(path.name for path in (out / "checkpoints").iterdir())
    assert kept == sorted(path.name for path in (whole / "checkpoints").iterdir())
