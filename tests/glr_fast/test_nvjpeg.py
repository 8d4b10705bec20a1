"""Which nvJPEG a process uses. Each question in a process of its own: a library stays loaded."""

from __future__ import annotations

import subprocess
import sys
import types
from pathlib import Path

import pytest

from glr_fast import nvjpeg

pytest.importorskip("torchvision")
SAY = "from glr_fast.nvjpeg import *; print(other_nvjpeg()); print(load_packaged_nvjpeg())"


def said(code: str) -> list[str]:
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=120
    )
    return done.stdout.splitlines() + done.stderr.splitlines()


def test_the_packaged_one_is_used_though_torchvision_brings_another() -> None:
    other, packaged = said(f"import glr_fast, timm, torchvision; {SAY}")
    assert other == "None"
    assert "site-packages/nvidia" in packaged


def test_one_that_was_loaded_before_is_named() -> None:
    other, packaged = said(f"import torchvision; {SAY}")
    if other == "None":
        pytest.skip("this torchvision brings no nvJPEG of the same name")
    assert other.startswith("nvJPEG 1")
    assert "torchvision" in other
    assert packaged not in other


def test_it_is_said_once(monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture) -> None:
    monkeypatch.setattr(nvjpeg, "other_nvjpeg", lambda: "nvJPEG 13.0.0 (/x/libnvjpeg.so.13)")
    nvjpeg.warn_of_other_nvjpeg.cache_clear()
    for _ in range(2):
        nvjpeg.warn_of_other_nvjpeg()
    nvjpeg.warn_of_other_nvjpeg.cache_clear()
    assert len(caplog.messages) == 1
    assert "nvJPEG 13.0.0 (/x/libnvjpeg.so.13) was loaded before" in caplog.text
    assert "import glr_fast before torchvision" in caplog.text


def test_every_nvjpeg_in_memory_is_found() -> None:
    toolkit = "7f r-xp 0 08:01 5 /usr/local/cuda/lib64/libnvjpeg.so.13.0.0\n"
    own = "7f r-xp 0 08:01 6 /x/torchvision.libs/libnvjpeg.4a0b5c81.so.13"
    others = ["7f r-xp 0 0 0", "7f r-xp 0 08:01 7 /x/extensions/libnvjpeg_ext.so.0.9.0"]
    assert nvjpeg.loaded_nvjpeg([toolkit, toolkit, own, *others]) == [
        Path("/usr/local/cuda/lib64/libnvjpeg.so.13.0.0"),
        Path("/x/torchvision.libs/libnvjpeg.4a0b5c81.so.13"),
    ]


@pytest.mark.parametrize("contents", [None, "", "no library"])
def test_a_package_of_that_name_without_a_usable_library(
    contents: str | None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """``import glr_fast`` goes on, whatever else is called nvidia."""
    package = types.ModuleType("nvidia")
    if contents is not None:
        package.__path__ = [str(tmp_path)]
    if contents:
        (tmp_path / "cu13" / "lib").mkdir(parents=True)
        (tmp_path / "cu13" / "lib" / "libnvjpeg.so.13").write_text(contents)
    monkeypatch.setitem(sys.modules, "nvidia", package)
    find = nvjpeg.load_packaged_nvjpeg.__wrapped__
    assert find() is None
