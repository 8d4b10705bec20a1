from __future__ import annotations

import dataclasses
import inspect
from dataclasses import replace
from pathlib import Path

import pytest

from glr_fast import config as config_module
from glr_fast.command_line import parse, parse_train
from glr_fast.config import (
    Config,
    DataConfig,
    LossConfig,
    ModelConfig,
    OptimConfig,
    RunConfig,
    changed_for_resume,
    flat,
)
from glr_fast.errors import ConfigError
from glr_fast.evaluate_options import EvaluateOptions
from glr_fast.recipes import RECIPES

CONFIGS = (DataConfig, ModelConfig, LossConfig, OptimConfig, RunConfig, Config, EvaluateOptions)

BAD = [
    (DataConfig, {"batch_size": 0}, "--data.batch-size"),
    (DataConfig, {"image_size": 8}, "--data.image-size"),
    (DataConfig, {"threads": 0}, "--data.threads"),
    (ModelConfig, {"name": ""}, "--model.name"),
    (ModelConfig, {"dropout": 1.0}, "--model.dropout"),
    (ModelConfig, {"freeze_epochs": -1}, "--model.freeze-epochs"),
    (LossConfig, {"label_smoothing": 1.0}, "--loss.label-smoothing"),
    (LossConfig, {"scale": 0}, "--loss.scale"),
    (LossConfig, {"reweight_from": 1.5}, "--loss.reweight-from"),
    (LossConfig, {"reweight_beta": 1.0}, "--loss.reweight-beta"),
    (OptimConfig, {"epochs": 0}, "--optim.epochs"),
    (OptimConfig, {"lr": 0}, "--optim.lr"),
    (OptimConfig, {"lr": float("nan")}, "--optim.lr"),
    (OptimConfig, {"clip_norm": 0}, "--optim.clip-norm"),
    (OptimConfig, {"accumulate_steps": 0}, "--optim.accumulate-steps"),
    (RunConfig, {"log_every": 0}, "--run.log-every"),
    (RunConfig, {"keep": 0}, "--run.keep"),
    (Config, {"seed": -1}, "--seed"),
    (Config, {"model": ModelConfig(freeze_epochs=99)}, "--model.freeze-epochs"),
    (EvaluateOptions, {"batch_size": 0}, "--batch-size"),
]


@pytest.mark.parametrize(("kind", "fields", "flag"), BAD)
def test_bad_values_name_their_flag(kind: type, fields: dict[str, object], flag: str) -> None:
    with pytest.raises(ConfigError, match=f"^{flag} must be"):
        kind(**fields)


@pytest.mark.parametrize("kind", CONFIGS)
def test_every_field_has_a_docstring(kind: type) -> None:
    """tyro makes the help out of them."""
    source = "".join(inspect.getsource(part) for part in reversed(kind.__mro__[:-1]))
    for field in dataclasses.fields(kind):
        after = source.split(f"    {field.name}: ", 1)[1].splitlines()[1]
        assert after.strip().startswith('"""'), field.name
    assert kind.__dataclass_params__.frozen  # type: ignore[attr-defined]


@pytest.mark.parametrize("name", RECIPES)
def test_recipes_build_and_survive_json(name: str) -> None:
    config = RECIPES[name]()
    assert Config.from_json(config.to_json(), "x") == config
    assert name in str(config.out)
    doc = RECIPES[name].__doc__ or ""
    for part in ("Command:", "Cost:", "Expected:"):
        assert part in doc


def test_json_keeps_paths_and_none() -> None:
    config = Config(model=ModelConfig(weights=Path("a/b.pth")), optim=OptimConfig(clip_norm=None))
    assert Config.from_json(config.to_json(), "x") == config


@pytest.mark.parametrize("text", ["", "[]", '{"sed": 1}', '{"data": 3}'])
def test_a_foreign_config_is_one_line(text: str) -> None:
    with pytest.raises(ConfigError, match=r"^run/config\.json: not a configuration"):
        Config.from_json(text, "run/config.json")


def test_every_field_is_a_flag() -> None:
    names = flat(Config())
    assert names["data.batch-size"] == 256
    for name, value in names.items():
        flag = f"--{name}"
        if isinstance(value, bool):
            parse_train([flag if not value else flag.replace(".", ".no-")])
        elif isinstance(value, int | float):
            parse_train([flag, str(value)])


def test_a_recipe_then_flags() -> None:
    line = (
        "--recipe efficientnet_b0_ldam --optim.lr 0.5 --model.no-pretrained --model.weights w.pth "
        "--resume --out here --data.eval-image-size 288 --optim.clip-norm None"
    )
    config = parse_train(line.split())
    base = RECIPES["efficientnet_b0_ldam"]()
    assert config == replace(
        base,
        optim=replace(base.optim, lr=0.5, clip_norm=None),
        model=replace(base.model, pretrained=False, weights=Path("w.pth")),
        data=replace(base.data, eval_image_size=288),
        resume=True,
        out=Path("here"),
    )


def test_resume_alone_takes_the_runs_own_options(tmp_path: Path) -> None:
    begun = replace(RECIPES["resnet50_ldam"](), out=tmp_path, seed=5)
    (tmp_path / "config.json").write_text(begun.to_json())
    config = parse_train(["--resume", "--out", str(tmp_path)])
    assert config == replace(begun, resume=True)
    assert parse_train(["--resume", f"--out={tmp_path}", "--seed", "6"]).seed == 6


UNKNOWN = [
    (["--recipe", "resnet50_ldm"], "unknown recipe 'resnet50_ldm'; did you mean resnet50_ldam"),
    (["--data.batchsize", "3"], "unknown option --data.batchsize; did you mean --data.batch-size"),
    (["--data.batchsize=3"], "did you mean --data.batch-size"),
    (["--batch-size", "3"], "did you mean --data.batch-size"),
    (["--optim.lr", "x"], "--optim.lr: could not convert string to float"),
    (["--loss.name", "focal"], "invalid choice 'focal' for argument '--loss.name'"),
    (["--recipe"], "--recipe needs a value"),
    (["stray"], "unknown option stray"),
    (["--optim.epochs"], "Missing value for argument '--optim.epochs'"),
]


@pytest.mark.parametrize(("arguments", "said"), UNKNOWN)
def test_a_wrong_command_line_is_one_line(arguments: list[str], said: str) -> None:
    with pytest.raises(ConfigError) as caught:
        parse_train(arguments)
    assert said in str(caught.value)
    assert "\n" not in str(caught.value)


def test_evaluate_options() -> None:
    options = parse(EvaluateOptions, ["--split", "val,test,val", "--run", "r"], EvaluateOptions())
    assert options.splits == ["val", "test"]
    assert options.folder == Path("r/eval-val-test")


def test_a_resumed_run_may_change_only_what_leaves_the_weights_alone() -> None:
    old = Config()
    same = replace(
        old,
        data=replace(old.data, store=Path("moved"), threads=3),
        run=replace(old.run, keep=5, max_steps=3),
        resume=True,
        tracker="none",
    )
    assert changed_for_resume(old, same) == {}
    other = replace(old, seed=1, optim=replace(old.optim, lr=0.3))
    assert changed_for_resume(old, other) == {"seed": (0, 1), "optim.lr": (1e-3, 0.3)}


def test_public_names_have_docstrings() -> None:
    for name, value in vars(config_module).items():
        if not name.startswith("_") and inspect.isfunction(value):
            assert value.__doc__, name
