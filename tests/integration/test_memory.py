"""The loader's memory does not grow from epoch to epoch."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

CODE = """
import gc, sys
from pathlib import Path
from tests.helpers.loaders import opened

def resident():
    gc.collect()
    return int(Path("/proc/self/statm").read_text().split()[1]) * 4096

after = []
with opened(sys.argv[1], "train", batch_size=16, image_size=128, backend=sys.argv[2],
                 threads=2) as loader:
    for epoch in range(6):
        for part in range(8):  # a generated store is small: eight rounds make an epoch
            for batch in loader.epoch(8 * epoch + part):
                del batch
        after.append(resident())
print(after[2], after[5])
"""


@pytest.mark.slow
@pytest.mark.parametrize("backend", ["cpu", "dali"])
def test_memory_after_epoch_5_is_that_after_epoch_2(store: Path, backend: str) -> None:
    done = subprocess.run(
        [sys.executable, "-c", CODE, str(store), backend],
        capture_output=True,
        text=True,
        timeout=300,
        check=True,
    )
    second, fifth = map(int, done.stdout.split())
    assert fifth <= 1.02 * second
