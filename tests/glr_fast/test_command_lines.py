"""The commands as they are typed: help, version, completion, and a line for what is wrong."""

from __future__ import annotations

import json
import os
import shlex
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest

from glr_fast.command_help import COMMANDS, TRAIN, CommandHelp, settings_of
from glr_fast.command_line import parse, parse_train, parse_tune
from glr_fast.commands import compare, doctor, evaluate, export, predict, train, tune
from glr_fast.config import Config, DataConfig
from glr_fast.early_checks import check_flags, check_new, check_training
from glr_fast.errors import ConfigError
from glr_fast.evaluate_options import EvaluateOptions
from glr_fast.recipes import RECIPES
from glr_fast.run_folders import model_folder, runs_in

MODULES = (train, evaluate, compare, predict, tune, export, doctor)
MAINS = dict(zip([command.name for command in COMMANDS], MODULES, strict=True))


def typed(
    line: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> tuple[int, str, str]:
    """The exit code, standard output and errors of a command line."""
    program, *arguments = shlex.split(line)
    monkeypatch.setattr(sys, "argv", [program, *arguments])
    with pytest.raises(SystemExit) as end:
        MAINS[program].main()
    said = capsys.readouterr()
    return int(end.value.code or 0), said.out, said.err


@pytest.mark.parametrize("command", COMMANDS, ids=lambda command: command.name)
def test_help_shows_options_and_examples(
    command: CommandHelp, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    code, out, err = typed(f"{command.name} --help", monkeypatch, capsys)
    assert (code, err) == (0, "")
    assert out.startswith(f"usage: {command.name} ")
    assert f"\n{command.epilogue()}\n" in out
    assert command.examples


def test_the_help_of_a_training_names_the_recipes_and_what_they_set(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    _, out, _ = typed("glr-train --help", monkeypatch, capsys)
    words = " ".join(out.replace("│", " ").split())
    assert "--recipe {" in words
    assert "--config" in words
    for name, recipe in RECIPES.items():
        assert f"{name}: " in out
        assert " ".join(settings_of(recipe())) in words
        flags = shlex.split(" ".join(settings_of(recipe())))
        assert parse(Config, flags, Config()) == recipe()


@pytest.mark.parametrize("command", COMMANDS, ids=lambda command: command.name)
@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_version_and_completion(
    command: CommandHelp,
    shell: str,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    code, out, _ = typed(f"{command.name} --version", monkeypatch, capsys)
    assert (code, out.split()[0]) == (0, command.name)
    code, out, _ = typed(f"{command.name} --print-completion {shell}", monkeypatch, capsys)
    assert code == 0
    assert command.name in out
    assert ("--recipe" in out) == (command is TRAIN)


EXAMPLES = [(command, line) for command in COMMANDS for line, _ in command.examples]


@pytest.mark.parametrize(("command", "line"), EXAMPLES, ids=[line for _, line in EXAMPLES])
def test_every_example_is_understood(command: CommandHelp, line: str) -> None:
    program, *arguments = shlex.split(line)
    assert program == command.name
    if command is TRAIN:
        config = parse_train(arguments)
        check_flags(config, arguments)
    elif program == "glr-tune":
        parse_tune(arguments)
    elif program == "glr-predict":
        predict.parse_predict(arguments)
    else:
        kinds = {
            "glr-evaluate": evaluate.EvaluateCommand,
            "glr-compare": compare.CompareCommand,
            "glr-export": export.ExportCommand,
            "glr-doctor": doctor.DoctorOptions,
        }

        parse(kinds[program], arguments, kinds[program]())


WITHOUT_TORCH = """
import sys

class Blocker:
    def find_spec(self, name, path=None, target=None):
        if name.split(".")[0] in {"torch", "nvidia", "timm", "accelerate", "cv2", "optuna"}:
            raise ImportError(f"{name} is blocked")

sys.meta_path.insert(0, Blocker())
import importlib
sys.argv = sys.argv[1:]
importlib.import_module(f"glr_fast.commands.{sys.argv[0].removeprefix('glr-')}").main()
"""

AT_ONCE = [
    ("glr-train --recipe resnet50", "unknown recipe 'resnet50'; did you mean resnet50_ce"),
    ("glr-train --data.store nowhere", "--data.store nowhere: no such store folder"),
    ("glr-train --data.store photos", "--data.store photos: not a finished store"),
    ("glr-train --model.weights none.pth", "--model.weights none.pth: no such file"),
    ("glr-train --data.policy balance", "--data.policy: unknown sampling policy 'balance'"),
    ("glr-train --optim.momentum 0.8", "--optim.momentum 0.8 would be ignored: it needs --optim.n"),
    ("glr-train --print-completion csh", "--print-completion csh: there are bash, zsh, fish"),
    ("glr-tune --data.store nowhere", "--data.store nowhere: no such store folder"),
    ("glr-evaluate", "no run in runs; train one with glr-train"),
    ("glr-evaluate --run nowhere", "--run nowhere: no such run folder"),
    ("glr-evaluate --run run", "--store gone: no such store folder"),
    ("glr-evaluate --run run --store photos", "--store photos: not a finished store"),
    ("glr-evaluate --run run --splits val", "unknown option --splits; did you mean --split?"),
    ("glr-compare", "no runs are named, and none in runs was evaluated on val"),
    ("glr-compare nowhere", "nowhere: no such run folder"),
    ("glr-compare run --overwrite", "--overwrite is for the folder of --out"),
    (
        "glr-predict photos",
        "no run in runs; train one with glr-train, or name another folder with --model",
    ),
    ("glr-predict --model run holidya", "holidya: no such photo or folder"),
    ("glr-predict --model run", "no photos are named"),
    ("glr-predict --model run photos", "at least 21 photos are too many for the terminal"),
    ("glr-export --model nowhere", "--model nowhere: no such run folder"),
    ("glr-export --model run --store nowhere", "--store nowhere: no such store folder"),
    ("glr-doctor --folder nowhere", "--folder nowhere: no such folder"),
]


@pytest.mark.parametrize(("line", "said"), AT_ONCE, ids=[line for line, _ in AT_ONCE])
def test_what_is_wrong_is_said_before_torch_is_loaded(line: str, said: str, tmp_path: Path) -> None:
    (tmp_path / "photos").mkdir()
    for number in range(21):
        (tmp_path / f"photos/{number}.jpg").touch()
    (tmp_path / "run/best").mkdir(parents=True)
    gone = Config(data=DataConfig(store=Path("gone")))
    (tmp_path / "run/config.json").write_text(gone.to_json())
    done = subprocess.run(
        [sys.executable, "-c", WITHOUT_TORCH, *shlex.split(line)],
        cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": str(Path(__file__).parents[2])},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 2, done.stderr
    assert done.stderr.startswith(f"error: {said}"), done.stderr
    assert done.stderr.count("\n") == 1
    assert done.stdout == ""
    assert sorted(path.name for path in tmp_path.iterdir()) == ["photos", "run"]


def test_an_index_does_not_silently_replace_the_policy_of_a_recipe() -> None:
    config = Config(data=DataConfig(policy="balanced", index="a"))
    with pytest.raises(ConfigError, match="would replace the policy balanced of the recipe"):
        check_flags(config, ["--data.index", "a"])


def test_an_index_that_the_store_does_not_have(store: Path, tmp_path: Path) -> None:
    config = Config(data=DataConfig(store=store, index="none"), out=tmp_path / "run")
    with pytest.raises(ConfigError, match=r"--data.index none: the store has no such index \(it"):
        check_training(config, [])


def test_a_folder_that_is_taken_is_seen_at_once(
    store: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    config = Config(data=DataConfig(store=store), out=tmp_path)
    check_training(config, [])
    (tmp_path / "x").touch()
    with pytest.raises(ConfigError, match="is not empty, and holds no run"):
        check_training(config, [])
    check_training(replace(config, resume=True), [])
    monkeypatch.setenv("WORLD_SIZE", "2")  # it may be another process's
    check_training(config, [])


def test_the_newest_run_is_taken(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    for number, name in enumerate(("b", "a", "untrained")):
        run = Path("runs", name)
        run.mkdir(parents=True)
        store = Path(f"store-{name}")
        (run / "config.json").write_text(Config(data=DataConfig(store=store)).to_json())
        os.utime(run / "config.json", (number, number))
        if name != "untrained":
            (run / "best").mkdir()
            (run / "best/model.json").touch()
    assert runs_in(Path("runs")) == [Path("runs/b"), Path("runs/a")]
    options = EvaluateOptions().resolved()
    assert (options.run, options.store) == (Path("runs/a"), Path("store-a"))
    assert options.folder == Path("runs/a/eval-test")
    named = EvaluateOptions(run=Path("runs/b"), store=Path("other")).resolved()
    assert (named.run, named.store) == (Path("runs/b"), Path("other"))
    assert EvaluateOptions(run=Path("runs/b/best")).resolved().store == Path("store-b")
    export = Path("export")
    export.mkdir()
    (export / "model.json").touch()
    assert model_folder(export, "--run") == export
    with pytest.raises(ConfigError, match="--store is missing: export does not say"):
        EvaluateOptions(run=export).resolved()


def test_without_a_recipe_it_is_said_which_one_is_taken(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    for arguments, said in ((["--out", "a"], True), (["--recipe=resnet50_ce"], False)):
        train._say_what_is_taken(arguments)
        assert ("no --recipe: taking resnet50_ce" in capsys.readouterr().err) == said
    monkeypatch.setenv("RANK", "1")
    train._say_what_is_taken([])
    assert capsys.readouterr().err == ""


def test_the_figures_of_a_doctor_are_json(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    from glr_fast.doctor import Finding

    monkeypatch.setattr("glr_fast.doctor.examine", lambda folder: [Finding("ok", "a", str(folder))])
    code, out, _ = typed(f"glr-doctor --json --folder {tmp_path}", monkeypatch, capsys)
    assert code == 0
    assert json.loads(out)[0]["found"] == str(tmp_path)


def test_a_start_that_failed_does_not_block_the_folder(tmp_path: Path) -> None:
    check_new(tmp_path / "none")
    check_new(tmp_path)
    (tmp_path / "notes.txt").touch()
    with pytest.raises(ConfigError, match="is not empty, and holds no run"):
        check_new(tmp_path)
    (tmp_path / "config.json").touch()
    check_new(tmp_path)  # the trainer warns, and starts
    (tmp_path / "checkpoints/step-00000012").mkdir(parents=True)
    with pytest.raises(ConfigError, match="already holds a run; continue it"):
        check_new(tmp_path)
