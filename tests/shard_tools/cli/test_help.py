"""Help, examples, version, completion, and figures for scripts."""

from __future__ import annotations

import json
import shlex
import subprocess
import sys
from pathlib import Path

import pytest

from shard_tools.cli.main import COMMANDS, _parser, main
from tests.helpers.photos import built, kaggle

EXAMPLES = [line for command in COMMANDS.values() for line, _ in command.EXAMPLES]


def test_alone_it_prints_its_help(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    assert main([]) == 0
    alone = capsys.readouterr()
    assert alone.err == ""
    assert all(f"\n    {name}" in alone.out for name in COMMANDS)
    monkeypatch.setattr(sys, "argv", ["glr-shard"])
    assert main() == 0
    assert capsys.readouterr().out == alone.out


@pytest.mark.parametrize("name", COMMANDS)
def test_examples_are_in_the_help(name: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit, match="0"):
        main([name, "--help"])
    out = capsys.readouterr().out
    assert COMMANDS[name].EXAMPLES
    for line, does in COMMANDS[name].EXAMPLES:
        assert f"  # {does}\n  {line}\n" in out


@pytest.mark.parametrize("line", EXAMPLES)
def test_every_example_is_understood(line: str) -> None:
    program, *arguments = shlex.split(line)
    assert program == "glr-shard"
    assert _parser().parse_args(arguments).run is COMMANDS[arguments[0]].run


def test_version(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit, match="0"):
        main(["--version"])
    assert capsys.readouterr().out.startswith("glr-shard 0.")


@pytest.mark.parametrize("shell", ["bash", "zsh"])
def test_completion(shell: str, capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    with pytest.raises(SystemExit, match="0"):
        main(["--print-completion", shell])
    script = capsys.readouterr().out
    assert "--resize-short" in script
    if shell == "bash":
        file = tmp_path / "completion"
        file.write_text(script)
        done = subprocess.run(["bash", "-n", str(file)], capture_output=True, text=True)
        assert (done.returncode, done.stderr) == (0, "")


def test_figures_for_scripts(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    kaggle(tmp_path / "k", {"1": 9, "2": 5})
    (tmp_path / "k/train/stray.jpg").write_bytes(b"")
    line = ["build", "--source", str(tmp_path / "k"), "--out", str(tmp_path / "s"), "--json"]
    assert main([*line, "--workers", "1"]) == 0
    figures = json.loads(capsys.readouterr().out)
    assert figures["counts"]["photos"] == 14
    assert figures["store"] == str(tmp_path / "s")
    assert sum(figures["rejected"].values()) == 1
    assert main(["verify", str(tmp_path / "s"), "--json", "--workers", "1"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert (found["problems"], found["counts"]["photos"]) == ([], 14)


def test_problems_for_scripts(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    kaggle(tmp_path / "k", {"1": 9})
    store = built(tmp_path / "k", tmp_path / "s")
    (store / "train-000000.idx").unlink()
    assert main(["verify", str(store), "--json", "--workers", "1"]) == 1
    (problem,) = json.loads(capsys.readouterr().out)["problems"]
    assert problem["where"] == "train-000000.idx"
