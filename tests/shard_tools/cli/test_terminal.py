"""What a terminal or a pipe gets: nothing that harms it, nothing that ends in a traceback."""

from __future__ import annotations

import csv
import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.helpers.commands import error_of
from tests.helpers.photos import built, jpeg, kaggle

INDEX = ["index", "--policy", "balanced", "--epochs", "1"]


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("terminal")
    kaggle(root / "k", {"1": 9, "2": 5})
    (root / "k/landmarks.csv").write_text("landmark_id,name\n1,\x1b[31mrøt\x1b[0m\n2,=2+3\n")
    (root / "k/train/=cmd|x.jpg").write_bytes(b"")
    return built(root / "k", root / "store")


def run(*arguments: object, **options: object) -> subprocess.CompletedProcess[bytes]:
    command = [sys.executable, "-m", "shard_tools.cli", *map(str, arguments)]
    return subprocess.run(command, stderr=subprocess.PIPE, check=False, **options)  # type: ignore[call-overload]


def test_escape_sequences_are_printed_escaped(store: Path) -> None:
    out = run("stats", store, stdout=subprocess.PIPE).stdout
    assert b"\x1b" not in out
    assert rb"\x1b[31mr" in out


def test_a_terminal_that_knows_only_ascii(store: Path) -> None:
    environment = {**os.environ, "PYTHONIOENCODING": "ascii", "LC_ALL": "C"}
    done = run("stats", store, stdout=subprocess.PIPE, env=environment)
    assert (done.returncode, done.stderr) == (0, b"")
    assert rb"r\xf8t" in done.stdout


def test_a_pipe_that_nobody_reads(store: Path) -> None:
    read, write = os.pipe()
    os.close(read)
    done = run("stats", store, stdout=write)
    os.close(write)
    assert (done.returncode, done.stderr) == (141, b"")


def test_a_full_standard_output(store: Path) -> None:
    with open("/dev/full", "wb") as full:
        done = run("stats", store, stdout=full)
    assert done.returncode == 2
    assert done.stderr == b"glr-shard: error: No space left on device\n"


def test_cells_that_a_spreadsheet_would_run(store: Path) -> None:
    with (store / "rejected.csv").open() as file:
        paths = [row["path"] for row in csv.DictReader(file)]
    assert paths == ["'=cmd|x.jpg"]


@pytest.mark.skipif(os.geteuid() == 0 and not Path("/proc/self").exists(), reason="no /proc")
@pytest.mark.parametrize("what", ["stats", "eda", "verify", "show", "index", "repair"])
def test_files_that_may_not_be_read(
    store: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    what: str,
    capsys: pytest.CaptureFixture[str],
) -> None:
    """Root may read everything, so the refusal is played."""
    real = os.open

    def refused(path: str | Path, *arguments: int, **options: int) -> int:
        if str(path).endswith("manifest.json"):
            raise PermissionError(13, "Permission denied", str(path))
        return real(path, *arguments, **options)

    monkeypatch.setattr(os, "open", refused)
    more = {
        "eda": ["--out", str(tmp_path / "x.html")],
        "show": ["1"],
        "index": ["--policy", "balanced", "--epochs", "1", "--name", "a"],
        "repair": ["--source", str(store.parent / "k")],
    }
    if what == "verify":
        from shard_tools.verify import verify_store

        (problem,) = verify_store(store)
        assert "Permission denied" in problem.what
        return
    assert "Permission denied" in error_of([what, str(store), *more.get(what, [])], capsys)


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["build", "--source", "S", "--out", "O", "--splits", "1e400,0,0"], "splits"),
        (["build", "--source", "S", "--out", "O", "--splits", "nan,0,0"], "splits"),
        (["build", "--source", "S", "--out", "O", "--seed", "-1"], "--seed is -1"),
        (["build", "--source", "S", "--out", "O" * 300], "File name too long"),
        (["index", "O", "--policy", "repeat:inf:inf", "--epochs", "1", "--name", "x"], "finite"),
        ([*INDEX, "O", "--name", "x", "--seed", "-1"], "--seed"),
        ([*INDEX, "STORE", "--name", "x" * 300], "too long"),
        (["fetch", "--dest", "D", "--base-url", "http://[::1"], "--base-url"),
        (["fetch", "--dest", "D", "--base-url", "http://"], "--base-url"),
        (["fetch", "--dest", "D", "--base-url", "ftp://u:secret@h/x"], "--base-url ftp://h/x"),
        (["stats", "x" * 300], "x"),
    ],
)  # fmt: skip
def test_odd_numbers_and_names(
    arguments: list[str],
    words: str,
    store: Path,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "S/a").mkdir(parents=True)
    (tmp_path / "S/a/1.jpg").write_bytes(jpeg(1))
    given = [str(store) if argument == "STORE" else argument for argument in arguments]
    assert words in error_of(given, capsys)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["S"]


@pytest.mark.parametrize("what", ["stats", "eda", "verify", "show", "index", "repair", "build"])
@pytest.mark.parametrize("place", ["http://127.0.0.1:1/x", "s3://nowhere/x"])
def test_an_object_store_that_cannot_be_reached(
    what: str,
    place: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    pytest.importorskip("s3fs", reason="s3fs is not installed (extra s3)")
    monkeypatch.setenv("AWS_ENDPOINT_URL", "http://127.0.0.1:1")
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "a")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "b")
    monkeypatch.setenv("AWS_MAX_ATTEMPTS", "1")  # what is said at the end is the same
    if what == "build":
        if place.startswith("http"):
            pytest.skip("no store can be written there")
        kaggle(tmp_path / "k", {"1": 3})
        arguments = ["build", "--source", str(tmp_path / "k"), "--out", place, "--yes"]
    else:
        more = {
            "eda": ["--out", str(tmp_path / "x.html")],
            "show": ["1"],
            "index": ["--policy", "balanced", "--epochs", "1", "--name", "a"],
            "repair": ["--source", str(tmp_path)],
        }
        arguments = [what, place, *more.get(what, [])]
    assert place in error_of(arguments, capsys)
