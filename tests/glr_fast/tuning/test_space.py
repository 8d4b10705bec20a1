"""What is searched: every option by the name of its flag, and a bad range is one line."""

from __future__ import annotations

import optuna
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from glr_fast.config import Config, flat
from glr_fast.errors import ConfigError
from glr_fast.recipes import RECIPES
from glr_fast.tuning.space import Dimension, grid_size, parse_space, searched, with_values

BASE = RECIPES["resnet50_ce"]()


def dimension(text: str) -> Dimension:
    (only,) = parse_space([text], BASE)
    return only


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("optim.lr=log:1e-4:1e-2", Dimension("optim.lr", None, 1e-4, 1e-2, log=True)),
        ("--optim.lr=0.1:0.2", Dimension("optim.lr", None, 0.1, 0.2)),
        (
            "loss.label_smoothing=0:0.25:0.1",
            Dimension("loss.label-smoothing", None, 0.0, 0.2, step=0.1),
        ),
        ("optim.epochs=2:8", Dimension("optim.epochs", None, 2, 8, whole=True)),
        (
            "data.batch-size=log:8:512",
            Dimension("data.batch-size", None, 8, 512, log=True, whole=True),
        ),
        ("loss.name=ce, ldam", Dimension("loss.name", ("ce", "ldam"))),
        ("optim.clip-norm=none,0.5,1", Dimension("optim.clip-norm", (None, 0.5, 1.0))),
        ("model.pretrained=true,false", Dimension("model.pretrained", (True, False))),
        (
            "data.policy=natural|natural,balanced@8|effective:0.99",
            Dimension("data.policy", ("natural", "natural,balanced@8", "effective:0.99")),
        ),
        ("model.weights=a.pth,b.pth", Dimension("model.weights", ("a.pth", "b.pth"))),
        ("seed=0,1,2", Dimension("seed", (0, 1, 2))),
    ],
)
def test_searches(text: str, expected: Dimension) -> None:
    assert dimension(text) == expected


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("optim.learning=1,2", "no option 'optim.learning'; did you mean optim"),
        ("lr=1,2", "no option 'lr'"),
        ("optim.lr", "say what to try, as in optim.lr=VALUE,VALUE"),
        ("optim.lr=", "say what to try"),
        ("optim.lr=1:2:3:4", "a range of numbers is LOW:HIGH, LOW:HIGH:STEP or log:LOW:HIGH"),
        ("optim.lr=log:1:2:3", "a range of numbers is LOW:HIGH"),
        ("optim.lr=1:inf", "a range of numbers is"),
        ("optim.lr=a:b", "a range of numbers is"),
        ("optim.epochs=1.5:3", "a range of whole numbers is"),
        ("optim.lr=0.2:0.1", "the range must go from less to more"),
        ("optim.lr=log:0:0.1", "a logarithmic range must begin above 0"),
        ("optim.lr=0.1:0.2:0.5", "the step must be above 0 and fit into the range"),
        ("optim.lr=-1:0.2", "--optim.lr must be above 0; it is -1"),
        ("optim.lr=0.1,fast", "'fast' is not a number; a range is optim.lr=LOW:HIGH"),
        ("loss.name=ce,focal", "'focal' is not one of ce, ldam"),
        ("optim.epochs=1,2.5", "'2.5' is not a whole number"),
        ("loss.name=ce,ce", "a value is given twice"),
        ("model.fix-batch-norm=yes", "'yes' is not true or false"),
        ("run.log-every=1,2", "it does not change the weights"),
        ("data.store=a,b", "it does not change the weights"),
        ("out=a,b", "it does not change the weights"),
        ("data.threads=1,2", "it does not change the weights"),
    ],
)
def test_bad_searches_are_one_line(text: str, said: str) -> None:
    with pytest.raises(ConfigError) as caught:
        dimension(text)
    assert said in str(caught.value)
    assert "\n" not in str(caught.value)


def test_an_option_is_searched_once_and_something_is() -> None:
    with pytest.raises(ConfigError, match="given twice"):
        parse_space(["optim.lr=1,2", "optim.lr=3,4"], BASE)
    with pytest.raises(ConfigError, match="say what to search"):
        parse_space([], BASE)


def test_a_grid_has_every_combination() -> None:
    space = parse_space(
        ["optim.lr=0.1:0.7:0.1", "optim.epochs=2:5", "loss.name=ce,ldam"],
        BASE,
    )
    assert space[0].points() == (0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7)
    assert space[1].points() == (2, 3, 4, 5)
    assert grid_size(space) == 7 * 4 * 2
    for text in ("optim.lr=0.1:0.2", "optim.lr=log:1e-4:1e-2", "optim.epochs=log:1:8"):
        with pytest.raises(ConfigError, match="a grid needs values; list them"):
            dimension(text).points()
    with pytest.raises(ConfigError, match="too many for a grid"):
        dimension("data.batch-size=1:100000").points()


@settings(deadline=None)
@given(st.integers(0, 2**32 - 1))
def test_what_is_suggested_makes_a_configuration(seed: int) -> None:
    texts = [
        *("optim.lr=log:1e-4:1e-2", "optim.epochs=2:8:3", "loss.name=ce,ldam", "seed=0:9"),
        *("optim.clip-norm=none,1", "data.erase=0:0.5:0.25", "data.batch-size=log:8:64"),
    ]
    space = parse_space(texts, BASE)
    study = optuna.create_study(sampler=optuna.samplers.RandomSampler(seed=seed))
    trial = study.ask()
    values = {dimension.flag: dimension.suggest(trial) for dimension in space}
    config = with_values(BASE, values)
    assert {flag: flat(config)[flag] for flag in values} == values
    assert values["optim.epochs"] in (2, 5, 8)
    assert values["data.erase"] in (0, 0.25, 0.5)
    assert Config.from_json(config.to_json(), "x") == config
    unchanged = {flag: v for flag, v in flat(config).items() if flag not in values}
    assert unchanged.items() <= flat(BASE).items()


def test_values_are_set_together() -> None:
    """Five frozen epochs of three are refused, but not when there are to be six."""
    values = {"model.freeze-epochs": 50, "optim.epochs": 60}
    assert with_values(BASE, values).model.freeze_epochs == 50
    with pytest.raises(ConfigError, match="freeze-epochs"):
        with_values(BASE, {"model.freeze-epochs": 50})


def test_workers_agree_on_what_decides_the_weights() -> None:
    known = searched(BASE)
    assert {"optim.lr", "model.weights", "precision", "run.monitor", "seed"} <= set(known)
    assert not {"out", "resume", "tracker", "data.threads", "run.log-every"} & set(known)
