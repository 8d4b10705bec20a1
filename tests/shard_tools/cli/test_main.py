"""``glr-shard`` as a user meets it: what it prints, its errors, Ctrl-C."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from shard_tools.cli import main
from shard_tools.store.layout import FORMAT_VERSION
from shard_tools.store.store import Store
from tests.helpers.commands import error_of
from tests.helpers.photos import add_photo, jpeg, kaggle, write_labels
from tests.helpers.stores import same
from tests.helpers.trees import numbered, tree

COMMAND = [sys.executable, "-m", "shard_tools.cli"]


@pytest.fixture
def source(tmp_path: Path) -> Path:
    kaggle(tmp_path / "source", {"1": 6, "2": 2})
    return tmp_path / "source"


def build(source: Path, out: Path, *more: str) -> list[str]:
    return ["build", "--source", str(source), "--out", str(out), "--workers", "1", *more]


def test_build_and_index(source: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    add_photo(source, "stray", b"")
    assert main(build(source, tmp_path / "s", "--resize-short", "16", "--shard-size", "4")) == 0
    printed = capsys.readouterr()
    assert printed.err == ""  # no bar where stderr is no terminal
    for part in ("photos    8 (train ", "classes   2", "1 not in train.csv", "rejected.csv", "/s"):
        assert part in printed.out
    store = Store.open(tmp_path / "s")
    assert store.manifest.options["resize_short"] == 16
    index = ["index", str(store.path), "--policy", "balanced", "--epochs", "2", "--name", "b"]
    assert main(index) == 0
    assert "2 epochs of" in capsys.readouterr().out
    assert (store.path / "index" / "b" / "index.json").is_file()


@pytest.mark.parametrize(
    ("more", "message"),
    [
        (["--splits", "0.5,0.5"], "are not three numbers; give three numbers that sum to 1"),
        (["--splits", "0.5,0.4,0.3"], "sum to 1.2"),
        (["--min-images", "99"], "the largest has 6 photos, --min-images is 99"),
        (["--top-classes", "0"], "--top-classes is 0; it must be 1 or more"),
        (["--resize-short", "0"], "--resize-short is 0"),
        (["--quality", "101"], "--quality is 101; it must be 1 to 100"),
        (["--shard-size", "0"], "--shard-size is 0"),
        (["--workers", "0"], "--workers is 0"),
        (["--seed", "-1"], "--seed is -1"),
        (["--seed", "x"], "invalid int value"),
        (["--layout", "zip"], "invalid choice: 'zip'"),
        (["--resize-short", "9", "--keep-original"], "not allowed with"),
        (["--what"], "unrecognized arguments: --what"),
    ],
)
def test_bad_options(
    source: Path,
    tmp_path: Path,
    more: list[str],
    message: str,
    capsys: pytest.CaptureFixture[str],
) -> None:
    assert message in error_of(build(source, tmp_path / "s", *more), capsys)
    assert not (tmp_path / "s").exists()


def test_bad_sources(source: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    out = tmp_path / "s"
    assert "none: no such folder" in error_of(build(tmp_path / "none", out), capsys)
    (tmp_path / "bare").mkdir()
    assert "neither a train.csv" in error_of(build(tmp_path / "bare", out), capsys)
    text = (source / "train.csv").read_text()
    (source / "train.csv").write_text(text.replace("id,landmark_id", "picture,place"))
    table = f"--source {source / 'train.csv'} --columns path=picture,label=place"
    assert table in error_of(build(source, out), capsys)
    assert not out.exists()


def test_an_out_folder_that_is_taken(
    source: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(build(source, tmp_path / "s")) == 0
    capsys.readouterr()
    assert "already holds a finished store" in error_of(build(source, tmp_path / "s"), capsys)
    assert "is not empty" in error_of(build(source, source), capsys)
    inside = source / "train.csv" / "s"
    assert "train.csv" in error_of(build(source, inside), capsys)


def test_a_store_of_another_version(
    source: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(build(source, tmp_path / "s")) == 0
    capsys.readouterr()
    file = tmp_path / "s" / "manifest.json"
    index = ["index", str(tmp_path / "s"), "--policy", "balanced", "--epochs", "1", "--name", "b"]
    file.write_text(file.read_text().replace(f'"version": {FORMAT_VERSION}', '"version": 77', 1))
    said = f"version 77 of glr-store, this program reads version {FORMAT_VERSION}"
    assert said in error_of(index, capsys)
    file.unlink()
    assert "not a finished store" in error_of(index, capsys)
    assert "no such store folder" in error_of(["index", "/none", *index[2:]], capsys)


def test_an_unknown_command(capsys: pytest.CaptureFixture[str]) -> None:
    said = error_of(["biuld"], capsys)
    assert "invalid choice: 'biuld'" in said
    assert "did you mean build?; see glr-shard --help" in said


@pytest.mark.parametrize("words", [["--sorce", "x"], ["--sorce=x"], ["--source", "x", "--ouut"]])
def test_a_misspelt_option_is_named_before_what_is_missing(
    words: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    said = error_of(["build", *words], capsys)
    meant = "--out" if "--ouut" in words else "--source"
    assert f"unrecognized arguments: {words[0] if meant == '--source' else words[2]}" in said
    assert f"did you mean {meant}?; see glr-shard build --help" in said
    assert "required" not in said


def test_a_source_that_is_given_twice_is_refused(
    source: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    said = error_of([*build(source, tmp_path / "s"), "--source", str(source)], capsys)
    assert "--source is given twice; give the folder above" in said


def test_classes_of_a_labelled_source_are_refused(
    source: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    said = error_of(build(source, tmp_path / "s", "--classes", "2"), capsys)
    assert "--classes 2: " in said
    assert "is labelled by a table; leave it out" in said


def test_columns_of_class_folders_are_refused_and_the_table_there_is_named(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    tree(tmp_path / "p", numbered("a", "b"))
    command = [*build(tmp_path / "p", tmp_path / "s"), "--columns", "path=Foto,label=Was"]
    said = error_of(command, capsys)
    assert said.startswith("glr-shard: error: --columns path=Foto,label=Was: ")
    assert said.endswith("leave it out\n")
    (tmp_path / "p" / "list.csv").write_text("Foto;Was\na/0.jpg;x\n")
    table = tmp_path / "p" / "list.csv"
    assert error_of(command, capsys).endswith(f"or give the table: --source {table}\n")


def test_an_option_may_be_shortened(source: Path, tmp_path: Path) -> None:
    assert main(["build", "--sour", str(source), "--out", str(tmp_path / "s"), "--work", "1"]) == 0


@pytest.mark.parametrize(
    ("workers", "moment"), [("1", "train-*.parquet"), ("2", "train-*.parquet"), ("2", "plan.json")]
)
def test_ctrl_c_ends_cleanly_and_the_build_goes_on(
    tmp_path: Path, workers: str, moment: str
) -> None:
    """Ctrl-C after the first shard, and while the workers are starting."""
    source, out = tmp_path / "source", tmp_path / "store"
    data, labels = jpeg(0, 1200, 900), {}
    for number in range(60):
        add_photo(source, f"{number:04d}", data)
        labels[f"{number:04d}"] = str(number % 3)
    write_labels(source, labels)
    command = [*COMMAND, *build(source, out, "--shard-size", "6", "--resize-short", "300")]
    command[command.index("--workers") + 1] = workers
    running = subprocess.Popen(
        command, stderr=subprocess.PIPE, stdout=subprocess.PIPE, text=True, start_new_session=True
    )
    while running.poll() is None and not list(out.glob(f".building/{moment}")):
        time.sleep(0.01)
    os.killpg(running.pid, signal.SIGINT)  # as a terminal does: to every process
    printed, said = running.communicate(timeout=30)
    assert running.returncode == 130, said
    assert printed.startswith("layout    kaggle")  # what was understood, before anything was packed
    assert said.startswith("glr-shard: interrupted")
    assert said.count("\n") == 1, said
    assert "run the same command again to go on" in said or moment == "plan.json"
    assert not list(out.glob(".*.tmp"))
    assert not (out / "manifest.json").exists()
    subprocess.run(command, check=True, capture_output=True)
    assert main(build(source, tmp_path / "whole", *command[-4:])) == 0
    assert same(out, tmp_path / "whole")


BLOCKED = """
import importlib, pkgutil, sys

class Blocker:
    def find_spec(self, name, path=None, target=None):
        if name.split(".")[0] in {"torch", "nvidia", "torchvision", "timm", "accelerate", "cv2"}:
            raise ImportError(f"{name} is blocked")

sys.meta_path.insert(0, Blocker())
import shard_tools
names = [module.name for module in pkgutil.walk_packages(shard_tools.__path__, "shard_tools.")]
for name in names:
    if not name.endswith("__main__"):
        importlib.import_module(name)
print(len(names), sorted(name for name in sys.modules if name.split(".")[0] in {"torch", "nvidia"}))
"""


def test_it_runs_without_torch_and_dali() -> None:
    run = subprocess.run([sys.executable, "-c", BLOCKED], capture_output=True, text=True)
    assert run.returncode == 0, run.stderr
    count, loaded = run.stdout.strip().split(" ", 1)
    assert int(count) >= 60
    assert loaded == "[]"


def test_ctrl_c_while_libraries_are_loaded_is_one_line(tmp_path: Path) -> None:
    (tmp_path / "shtab.py").write_text("raise KeyboardInterrupt")
    done = subprocess.run(
        [sys.executable, "-m", "shard_tools.cli", "--help"],
        env={**os.environ, "PYTHONPATH": str(tmp_path)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert (done.returncode, done.stdout) == (130, "")
    assert done.stderr == "glr-shard: interrupted\n"


@pytest.mark.parametrize("command", ["stats", "eda", "show"])
def test_a_store_that_lacks_shards_is_told(
    command: str, source: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """The tables are enough for these commands, so they do what they can."""
    main(build(source, tmp_path / "s"))
    capsys.readouterr()
    also = {"eda": ["--out", str(tmp_path / "r.html")], "show": ["train-000000"]}.get(command, [])
    assert main([command, str(tmp_path / "s"), *also]) == 0
    assert "warning" not in capsys.readouterr().err
    (tmp_path / "s" / "train-000000.tar").unlink()
    assert main([command, str(tmp_path / "s"), *also]) == 0
    assert "warning: " in (said := capsys.readouterr().err)
    assert "train-000000.tar: missing" in said


def test_a_build_imports_no_pandas(photos: Path, tmp_path: Path) -> None:
    """pyarrow would, in the command and in each worker, where it is installed: as here."""
    (tmp_path / "pandas").mkdir()
    (tmp_path / "pandas/__init__.py").write_text(
        f"open({str(tmp_path / 'imported')!r}, 'a').close(); raise ImportError"
    )
    source = ["--source", str(photos), "--workers", "2"]
    done = subprocess.run(
        [sys.executable, "-m", "shard_tools.cli", "build", *source, "--out", str(tmp_path / "s")],
        env={**os.environ, "PYTHONPATH": str(tmp_path)},
        capture_output=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert not (tmp_path / "imported").exists()
