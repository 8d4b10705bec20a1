"""What a page of results says about the machine."""

from __future__ import annotations

from pathlib import Path

import pytest

from benchmarks.environment import processor


@pytest.mark.parametrize(
    ("lines", "said"),
    [
        ("model name\t: Xeon\nflags\t\t: fpu avx2 avx512f avx512bw\n", "Xeon (AVX2, AVX-512)"),
        ("model name\t: Xeon\nflags\t\t: avx2 amx_tile\n", "Xeon (AVX2, AMX)"),
        ("model name\t: Old\nflags\t\t: fpu sse2\n", "Old"),
    ],
)
def test_a_processor_is_named_with_its_wide_instructions(
    lines: str, said: str, tmp_path: Path
) -> None:
    (tmp_path / "cpuinfo").write_text(f"processor\t: 0\n{lines}\nprocessor\t: 1\n{lines}")
    assert processor(tmp_path / "cpuinfo") == said


def test_a_processor_without_such_a_file_has_a_name_too(tmp_path: Path) -> None:
    assert processor(tmp_path / "absent")
