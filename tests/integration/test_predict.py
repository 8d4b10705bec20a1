"""``glr-predict`` as a user runs it."""

from __future__ import annotations

import csv
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from glr_fast.commands import predict as command
from glr_fast.commands.predict import parse_predict
from glr_fast.errors import ConfigError
from glr_fast.prediction.console import aligned, columns_of, shortened
from tests.conftest import REPOSITORY
from tests.helpers.models import run_for
from tests.helpers.photos import jpeg


@pytest.fixture(scope="module")
def run(store: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return run_for(store, tmp_path_factory.mktemp("model") / "run")


@pytest.fixture
def three(tmp_path: Path) -> Path:
    """A folder of three photos, with a name in another script."""
    folder = tmp_path / "été 夏"
    folder.mkdir()
    for number in range(3):
        (folder / f"{number}.jpg").write_bytes(jpeg(number, 90, 70))
    return folder


def done(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], *arguments: object
) -> tuple[int, str, str]:
    """Exit code, stdout and stderr of the command."""
    monkeypatch.setattr(sys, "argv", ["glr-predict", *map(str, arguments)])
    with pytest.raises(SystemExit) as ended:
        command.main()
    captured = capsys.readouterr()
    return int(ended.value.code or 0), captured.out, captured.err


def test_a_table_for_few_photos(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], run: Path, three: Path
) -> None:
    code, out, err = done(monkeypatch, capsys, "--model", run, three, "--threshold", "0.999")
    assert (code, err) == (0, "")
    lines = out.splitlines()
    assert lines[0].split() == ["photo", "landmark", "probability", "else"]
    assert [line.split("  ")[0] for line in lines[1:4]] == [
        str(three / f"{n}.jpg") for n in range(3)
    ]
    assert all("unsure" in line for line in lines[1:4])
    assert lines[4] == "3 photos recognised, 3 unsure (below 0.999: as given)"


def test_what_cannot_be_read_is_said_and_does_not_matter(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], run: Path, three: Path
) -> None:
    (three / "bad\x1b[31m.jpg").write_bytes(b"<html>")
    code, out, err = done(monkeypatch, capsys, "--model", run, three, three / "gone.jpg")
    assert code == 0
    assert "3 photos recognised, 2 left out; none marked unsure: no threshold is known" in out
    assert err.splitlines()[0] == "left out: 1 no such file, 1 not a photo"
    assert "bad\\x1b[31m.jpg: not a photo" in err
    assert "\x1b" not in out + err


def test_every_output_at_once(
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    run: Path,
    three: Path,
    tmp_path: Path,
) -> None:
    outputs = ["--out", tmp_path / "a.csv", "--gallery", tmp_path / "page"]
    outputs += ["--sort-into", three / "sorted", "--link", "hard", "--all"]
    code, out, _ = done(monkeypatch, capsys, three, "--model", run, *outputs)
    assert code == 0
    with open(tmp_path / "a.csv", encoding="utf-8") as file:
        assert len(list(csv.DictReader(file))) == 3
    assert (tmp_path / "page/index.html").is_file()
    assert len(list((three / "sorted").rglob("*.jpg"))) == 3
    for said in ("answers: ", "sorted: 3 photos into ", "gallery: open "):
        assert said in out
    # Its own folder is no source, and what is there is left alone.
    outputs = ["--sort-into", three / "sorted"]
    code, out, _ = done(monkeypatch, capsys, "--model", run, three, *outputs)
    assert code == 0
    assert "sorted: 0 photos into " in out
    assert "3 were there" in out


def test_modes_are_the_umasks(run: Path, three: Path, tmp_path: Path) -> None:
    (three / "bad.jpg").write_bytes(b"<html>")
    command = [sys.executable, "launch/predict.py", "--model", str(run), str(three)]
    command += ["--out", str(tmp_path / "a.csv"), "--gallery", str(tmp_path / "page")]
    environment = os.environ | {"CUDA_VISIBLE_DEVICES": "", "PYTHONPATH": str(REPOSITORY)}
    subprocess.run(command, cwd=REPOSITORY, env=environment, umask=0o027, check=True)
    names = ("a.csv", "a.csv.rejected.csv", "page/index.html")
    assert {(tmp_path / name).stat().st_mode & 0o777 for name in names} == {0o640}
    assert (tmp_path / "page").stat().st_mode & 0o777 == 0o750


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["--model", "nowhere", "{photos}"], "nowhere: no such run folder"),
        (["{photos}"], "no run in runs; train one with glr-train"),
        (["--model", "{run}"], "no photos are named"),
        (["--model", "{run}", "{empty}"], "error: {empty}: no photo there"),
        (["--model", "{run}", "gone"], "gone: no such photo or folder"),
        (["--model", "{run}", "{photos}", "--threshold", "2"], "--threshold must be from 0 to 1"),
        (["--model", "{run}", "{photos}", "--threshold", "x"], "--threshold"),
        (["--model", "{run}", "{photos}", "--treshold", "1"], "did you mean --threshold?"),
        (["--model", "{run}", "{photos}", "--out", "{there}"], "exists; give another name"),
        (["--model", "{run}", "{photos}", "--out", "a.xls"], "--out must be a file that ends in"),
        (["--model", "{run}", "{photos}", "--gallery", "{empty}/.."], "with other files in it"),
        (["--model", "{run}", "{photos}", "--sort-into", "{there}"], "is a file; give a folder"),
        (["--model", "{run}", "{photos}", "--sort-into", "{photos}/."], "the photos are in it"),
        (["--model", "{run}", "{photos}", "--gallery", "{photos}"], "the photos are in it"),
        (["--model", "{corrupt}", "{photos}"], "model.safetensors: damaged"),
        (["--model", "{old}", "{photos}"], "not a model card of this version"),
        (["--model", "{run}", "{many}"], "at least 21 photos are too many for the terminal"),
    ],
)
def test_bad_input_is_one_line_and_2(
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    run: Path,
    three: Path,
    tmp_path: Path,
    arguments: list[str],
    words: str,
) -> None:
    places = {"photos": three, "run": run, "there": tmp_path / "there.csv"}
    places |= {name: tmp_path / name for name in ("empty", "many", "corrupt", "old")}
    places["there"].write_text("mine")
    (tmp_path / "empty").mkdir()
    (tmp_path / "many").mkdir()
    for number in range(21):
        (tmp_path / f"many/{number}.jpg").write_bytes(b"")
    for name, file in (("corrupt", "model.safetensors"), ("old", "model.json")):
        shutil.copytree(run / "best", tmp_path / name)
        (tmp_path / name / file).write_bytes(b'{"name": "resnet18"}' * 9)
    filled = [argument.format(**places) for argument in arguments]
    code, out, err = done(monkeypatch, capsys, *filled)
    assert code == 2
    assert out == ""
    assert words.format(**places) in err
    assert err.startswith("error: ")
    assert err.count("\n") == 1
    assert places["there"].read_text() == "mine"


@pytest.mark.parametrize(
    ("arguments", "photos"),
    [
        (["--model", "m", "a", "b"], ("a", "b")),
        (["a", "--model", "m", "b"], ("a", "b")),
        (["a", "--top", "3", "--model", "m", "-"], ("a", "-")),
        (["--model", "m", "--", "-x.jpg", "--top"], ("-x.jpg", "--top")),
        (["a", "--model", "m", "b", "--", "c"], ("a", "b", "c")),
    ],
)
def test_photos_between_flags(arguments: list[str], photos: tuple[str, ...]) -> None:
    assert parse_predict(arguments).photos == photos


def test_an_unknown_flag_between_photos() -> None:
    with pytest.raises(ConfigError, match="unknown option --gallry; did you mean --gallery"):
        parse_predict(["--model", "m", "a", "--gallry", "b"])


def test_columns_of_a_terminal() -> None:
    assert columns_of("泰姬陵") == 6
    assert columns_of("e\u0301") == 1
    assert aligned([["泰", "b"], ["abc", "d"]]) == ["泰   b", "abc  d"]
    assert shortened("泰姬陵", 5) == "泰姬…"
    assert shortened("abc", 3) == "abc"


def test_the_script_reads_names_from_a_pipe(run: Path, three: Path) -> None:
    names = "\n".join(str(path) for path in sorted(three.iterdir()))
    environment = os.environ | {"CUDA_VISIBLE_DEVICES": "", "PYTHONPATH": str(REPOSITORY)}
    command = [sys.executable, "launch/predict.py", "--model", str(run), "-"]
    ended = subprocess.run(
        command, cwd=REPOSITORY, env=environment, input=names, capture_output=True, text=True
    )
    assert ended.returncode == 0, ended.stderr
    assert "3 photos recognised" in ended.stdout


def test_a_mistyped_flag_is_answered_before_torch_is_loaded() -> None:
    code = (
        "import sys; sys.argv = ['x', '--threshold', '2']\nfrom glr_fast.commands import predict\n"
    )
    code += "try: predict.main()\nexcept SystemExit: assert 'torch' not in sys.modules"
    ended = subprocess.run([sys.executable, "-c", code], cwd=REPOSITORY, capture_output=True)
    assert ended.returncode == 0, ended.stderr


@pytest.mark.parametrize("flag", ["--sort-into", "--out"])
def test_nothing_else_goes_into_the_gallery(
    flag: str,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    run: Path,
    three: Path,
    tmp_path: Path,
) -> None:
    """It would be deleted when the page appears."""
    inside = tmp_path / "page" / "a.csv" if flag == "--out" else tmp_path / "page"
    (tmp_path / "page").mkdir()
    arguments = ("--model", run, three, "--gallery", tmp_path / "page", flag, inside)
    code, _, err = done(monkeypatch, capsys, *arguments)
    assert code == 2
    assert f"error: {flag} {inside}: lies in --gallery" in err


def test_a_place_that_cannot_be_written_is_one_line(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], run: Path, three: Path
) -> None:
    name = "x" * 300 + ".csv"
    code, _, err = done(monkeypatch, capsys, "--model", run, three, "--out", name)
    assert code == 2
    assert err == f"error: {name}: File name too long\n"
    assert "Traceback" not in err


def test_names_are_no_formulas(
    monkeypatch: pytest.MonkeyPatch, run: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("=1+1.jpg").write_bytes(jpeg(1))
    Path("=2+2.jpg").write_bytes(b"")
    code, _, _ = done(monkeypatch, capsys, "--model", run, "=1+1.jpg", "=2+2.jpg", "--out", "a.csv")
    assert code == 0
    with open("a.csv", newline="") as file:
        assert [row["path"] for row in csv.DictReader(file)] == ["'=1+1.jpg"]
    with open("a.csv.rejected.csv", newline="") as file:
        assert [row["path"] for row in csv.DictReader(file)] == ["'=2+2.jpg"]
