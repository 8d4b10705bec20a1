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
    MixConfig,
    ModelConfig,
    OptimConfig,
    RunConfig,
    changed_for_resume,
    flat,
)
from glr_fast.errors import ConfigError
from glr_fast.evaluate_options import EvaluateOptions
from glr_fast.recipes import RECIPES

CONFIGS = (
    DataConfig,
    ModelConfig,
    LossConfig,
    MixConfig,
    OptimConfig,
    RunConfig,
    Config,
    EvaluateOptions,
)

BAD = [
    (DataConfig, {"batch_size": 0}, "--data.batch-size"),
    (DataConfig, {"image_size": 8}, "--data.image-size"),
    (DataConfig, {"threads": 0}, "--data.threads"),
    (ModelConfig, {"name": ""}, "--model.name"),
    (ModelConfig, {"dropout": 1.0}, "--model.dropout"),
    (ModelConfig, {"freeze_epochs": -1}, "--model.freeze-epochs"),
    (ModelConfig, {"sub_centers": 0}, "--model.sub-centers"),
    (Config, {"loss": LossConfig(name="arcface")}, "--loss.name arcface"),
    (LossConfig, {"label_smoothing": 1.0}, "--loss.label-smoothing"),
    (LossConfig, {"scale": 0}, "--loss.scale"),
    (LossConfig, {"tau": -1}, "--loss.tau"),
    (LossConfig, {"angular_margin": 2}, "--loss.angular-margin"),
    (LossConfig, {"reweight_from": 1.5}, "--loss.reweight-from"),
    (LossConfig, {"reweight_beta": 1.0}, "--loss.reweight-beta"),
    (OptimConfig, {"epochs": 0}, "--optim.epochs"),
    (OptimConfig, {"ema": 1.0}, "--optim.ema"),
    (OptimConfig, {"ema": 0.0}, "--optim.ema"),
    (MixConfig, {"mixup": -0.1}, "--mix.mixup"),
    (MixConfig, {"cutmix": -1}, "--mix.cutmix"),
    (MixConfig, {"cutmix": float("inf")}, "--mix.cutmix"),
    (MixConfig, {"mixup": float("nan")}, "--mix.mixup"),
    (DataConfig, {"start_image_size": 224}, "--data.start-image-size"),
    (DataConfig, {"start_image_size": 8}, "--data.start-image-size"),
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


def test_recipes_of_both_networks_differ_in_the_network_only() -> None:
    names = [name.removeprefix("resnet50_") for name in RECIPES if name.startswith("resnet50_")]
    assert names == ["ce", "ldam", "ldam_drw", "logit_adjustment", "arcface"]
    for name in names:
        one, two = RECIPES[f"resnet50_{name}"](), RECIPES[f"efficientnet_b0_{name}"]()
        model = replace(one.model, name="efficientnet_b0")
        assert replace(one, model=model, out=two.out) == two


def test_recipes_are_the_published_forms() -> None:
    """Label smoothing is no part of any formula but that of the baseline."""
    found = {
        name: (c.loss.name, c.model.head, c.scale, c.loss.label_smoothing, c.loss.reweight_from)
        for name, recipe in RECIPES.items()
        if (c := recipe()).model.name == "resnet50"
    }
    assert found == {
        "resnet50_ce": ("ce", "linear", 1.0, 0.1, None),
        "resnet50_ldam": ("ldam", "linear", 1.0, 0.0, None),
        "resnet50_ldam_drw": ("ldam", "cosine", 30.0, 0.0, 0.8),
        "resnet50_logit_adjustment": ("logit_adjustment", "linear", 1.0, 0.0, None),
        "resnet50_arcface": ("arcface", "subcenter", 30.0, 0.0, None),
    }


@pytest.mark.parametrize(
    ("head", "scale", "parts"),
    [("linear", None, (1, 1)), ("linear", 4.0, (1, 4)), ("cosine", None, (30, 1))],
)
def test_a_scale_is_applied_once(head: str, scale: float | None, parts: tuple) -> None:
    model = ModelConfig(head=head)  # type: ignore[arg-type]
    config = Config(model=model, loss=LossConfig(scale=scale))
    assert (config.head_scale, config.logit_scale) == parts
    assert config.head_scale * config.logit_scale == config.scale


def test_json_keeps_paths_and_none() -> None:
    config = Config(model=ModelConfig(weights=Path("a/b.pth")), optim=OptimConfig(clip_norm=None))
    assert Config.from_json(config.to_json(), "x") == config


WRONG = [
    *("", "[]", '{"sed": 1}', '{"data": 3}', '{"seed": "1"}', '{"seed": true}', '{"seed": 1.5}'),
    *('{"loss": {"name": "focal"}}', '{"model": {"name": 3}}', '{"optim": {"clip_norm": "none"}}'),
]


@pytest.mark.parametrize("text", WRONG)
def test_a_foreign_config_is_one_line(text: str) -> None:
    with pytest.raises(ConfigError, match=r"^run/config\.json: not a configuration"):
        Config.from_json(text, "run/config.json")


def test_every_field_is_a_flag() -> None:
    names = flat(Config())
    assert names["data.batch-size"] == 256
    for name, value in names.items():
        flag = f"--{name}"
        if isinstance(value, bool):
            parse_train([flag if not value else ".no-".join(flag.rsplit(".", 1))])
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
    none = ["--resume", "--out", str(tmp_path / "none")]  # a first start with --resume
    recipe = RECIPES["resnet50_ce"]()
    assert parse_train(none) == replace(recipe, out=tmp_path / "none", resume=True)
    assert parse_train(["--resume"]) == replace(recipe, resume=True)


def test_a_file_of_options_then_flags(tmp_path: Path) -> None:
    file = tmp_path / "best.json"
    begun = replace(RECIPES["resnet50_ldam"](), out=tmp_path, seed=5, resume=True)
    file.write_text(begun.to_json())
    config = parse_train(["--config", str(file), "--out", "new", "--seed=6"])
    assert config == replace(begun, out=Path("new"), seed=6, resume=False)


def test_files_that_are_no_options_are_one_line(tmp_path: Path) -> None:
    other = tmp_path / "other.json"
    other.write_bytes(b"\xff\x00")
    for arguments, said in (
        (["--config", str(tmp_path)], r"a folder; give a file, such as .*config\.json"),
        (["--config", str(tmp_path / "no.json")], "cannot be read .No such file"),
        (["--config", str(other)], "not a text file"),
        (["--config", "a", "--recipe", "b"], "take one of them"),
    ):
        with pytest.raises(ConfigError, match=said):
            parse_train(arguments)
    other.write_text('{"optim": {"epochs": "ten"}}')
    with pytest.raises(ConfigError, match="epochs is 'ten', which is not a whole number"):
        parse_train(["--config", str(other)])


UNKNOWN = [
    (["--recipe", "resnet50_ldm"], "unknown recipe 'resnet50_ldm'; did you mean resnet50_ldam"),
    (["--optim.epochs", "ten"], "--optim.epochs ten: not a whole number"),
    (["--optim.lr", "fast"], "--optim.lr fast: not a number"),
    (["--data.batchsize", "3"], "unknown option --data.batchsize; did you mean --data.batch-size"),
    (["--data.batchsize=3"], "did you mean --data.batch-size"),
    (["--batch-size", "3"], "did you mean --data.batch-size"),
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


@pytest.mark.parametrize(
    ("split", "meant"),
    [("valid", "val"), ("Validation", "val"), ("val,testing", "val,test"), ("dev", "val")],
)
def test_another_name_of_a_split_is_understood_well_enough_to_help(split: str, meant: str) -> None:
    with pytest.raises(ConfigError, match=rf"--split.*did you mean {meant}\?"):
        EvaluateOptions(split=split)
    with pytest.raises(ConfigError, match="or several of them with commas"):
        EvaluateOptions(split="everything")
