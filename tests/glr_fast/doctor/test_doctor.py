"""The doctor finds what is there, and says what is wrong in a line rather than a traceback."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace

import pytest
import torch

from glr_fast.doctor import Finding, decoders, examine, machine
from glr_fast.doctor.findings import text_of
from glr_fast.doctor.run import guarded


def test_this_machine_can_train(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    real = machine.disk
    monkeypatch.setattr(machine, "disk", lambda folder: real(folder, 8 * machine.MIB))
    findings = list(examine(tmp_path))
    assert [f for f in findings if f.state == "fault"] == []
    by_subject = {finding.subject: finding for finding in findings}
    assert by_subject["DALI on the CPU"].found == "decodes"
    assert by_subject["packages"].found.startswith("glr-fast ")
    assert ", torch " in by_subject["packages"].found
    assert "MiB/s" in by_subject["disk"].found
    assert list(tmp_path.iterdir()) == []


def test_a_check_that_fails_is_a_finding() -> None:
    def no_dali() -> Finding:
        raise ImportError("No module named 'nvidia.dali'")

    def crash() -> Finding:
        raise RuntimeError("driver\n  too old")

    assert guarded("DALI", no_dali).state == "fault"
    assert "glr-fast[train]" in guarded("DALI", no_dali).advice
    assert guarded("torch", crash).found == "RuntimeError: driver too old"


def test_a_decoder_that_returns_something_else(monkeypatch: pytest.MonkeyPatch) -> None:
    assert decoders._decoded("DALI", None).state == "fault"
    assert decoders._decoded("DALI", (48, 64, 1)).state == "fault"
    assert decoders._decoded("DALI", (48, 64, 3)).state == "ok"


def test_a_gpu_that_torch_cannot_use(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(decoders, "gpu", lambda: Finding("ok", "GPU", "H100"))
    monkeypatch.setattr("torch.cuda.is_available", lambda: False)
    finding = decoders.torch_device()
    assert finding.state == "fault"
    assert "torch cannot use the GPU" in finding.advice


@pytest.mark.parametrize(
    ("works", "state", "found"),
    [
        ("GPU_ONLY HYBRID_CPU_GPU", "ok", "decodes: CUDA, CUDA with CPU"),
        ("HYBRID_CPU_GPU", "ok", "decodes: CUDA with CPU"),
        ("", "note", "none of its decoders works"),
    ],
)
def test_the_gpu_decoders_that_work_are_named(
    works: str, state: str, found: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Without a GPU the answers are played; what they are made of is real."""
    nvimgcodec = pytest.importorskip("nvidia.nvimgcodec")
    assert decoders.nvimgcodec_gpu().state == ("ok" if torch.cuda.is_available() else "note")
    good = [getattr(nvimgcodec, name) for name in works.split()]
    monkeypatch.setattr("torch.cuda.is_available", lambda: True)
    monkeypatch.setattr(decoders, "_decodes_on_gpu", lambda kind: kind in good)
    finding = decoders.nvimgcodec_gpu()
    assert (finding.state, finding.found) == (state, found)


@pytest.mark.parametrize(("mib", "state"), [(64, "note"), (8192, "ok")])
def test_shared_memory(mib: int, state: str, monkeypatch: pytest.MonkeyPatch) -> None:
    usage = SimpleNamespace(total=mib * machine.MIB)
    monkeypatch.setattr(machine.shutil, "disk_usage", lambda path: usage)
    assert machine.shared_memory().state == state


@pytest.mark.parametrize(("free", "end"), [(22 * machine.GIB, ", 22 GiB free"), (None, " GiB")])
def test_memory(free: int | None, end: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(machine, "free_memory", lambda: free)
    assert machine.memory().found.endswith(end)


def test_a_full_disk(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(machine.shutil, "disk_usage", lambda path: SimpleNamespace(free=1000))
    assert machine.disk(tmp_path).state == "fault"


def test_advice_is_printed_below_its_finding() -> None:
    lines = text_of([Finding("ok", "a", "x"), Finding("fault", "bcd", "y", "do z")]).splitlines()
    assert lines == ["ok     a    x", "fault  bcd  y", "            -> do z"]


def test_the_command() -> None:
    command = [sys.executable, "-m", "glr_fast.commands.doctor"]
    done = subprocess.run([*command, "--json"], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert {f["state"] for f in json.loads(done.stdout)} <= {"ok", "note"}
    done = subprocess.run([*command, "--folder", "nowhere"], capture_output=True, text=True)
    assert (done.returncode, done.stderr) == (2, "error: --folder nowhere: no such folder\n")
