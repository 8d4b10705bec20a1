"""What is found wrong with a command line before torch is loaded, one check at a time."""

from __future__ import annotations

from pathlib import Path

import pytest

from glr_fast.command_line import parse_train
from glr_fast.early_checks import NEEDS, check_flags, check_store
from glr_fast.errors import ConfigError


def test_the_store_of_the_run_is_named_where_another_is_not_there(tmp_path: Path) -> None:
    own = tmp_path / "own"
    own.mkdir()
    with pytest.raises(ConfigError, match=rf"the run was trained on {own}, which is taken without"):
        check_store(tmp_path / "nowhere", instead=own)
    for store, instead in ((tmp_path / "nowhere", tmp_path / "gone"), (own, own)):
        with pytest.raises(ConfigError) as caught:
            check_store(store, instead=instead)
        assert "trained on" not in str(caught.value)


IGNORED = [
    "--optim.momentum 0.5",
    "--loss.max-margin 0.3",
    "--loss.margin-constant 0.3",
    "--loss.reweight-beta 0.9",
    "--loss.tau 0.5",
    "--loss.angular-margin 0.2",
    "--model.sub-centers 2",
    "--model.float32-head --model.head cosine",
    "--data.cache there --data.store store",
    "--data.cache-gib 3",
    "--data.index a --data.policy balanced",
    "--run.monitor accuracy --run.eval-every 0",
    "--data.start-image-size 96 --optim.epochs 1",
]


@pytest.mark.parametrize("line", IGNORED)
def test_a_flag_without_effect_is_refused(line: str) -> None:
    with pytest.raises(ConfigError, match=r"^--[\w.-]+ \S+ would be ignored: "):
        check_flags(parse_train(line.split()), line.split())


def test_statistics_that_nothing_was_trained_on_are_not_kept() -> None:
    noise = ["--model.no-pretrained", "--model.fix-batch-norm"]
    with pytest.raises(ConfigError, match=r"--model\.no-pretrained has none; leave out one"):
        check_flags(parse_train(noise), noise)
    for weights in (["--model.weights", "a.pth"], ["--init-from", "runs/a"]):
        check_flags(parse_train([*noise, *weights]), noise)


def test_every_such_flag_is_tried_and_works_with_what_it_needs() -> None:
    tried = {word.removeprefix("--") for line in IGNORED for word in line.split()}
    assert set(NEEDS) <= tried
    for line in (
        "--optim.momentum 0.5 --optim.name sgd",
        "--recipe resnet50_ldam --loss.max-margin 0.3",
        "--recipe=resnet50_ldam --loss.margin-constant=0.3",
        "--loss.reweight-beta 0.9 --loss.reweight-from 0.8",
        "--loss.name logit_adjustment --loss.tau 0.5",
        "--recipe resnet50_arcface --loss.angular-margin 0.2 --model.sub-centers 2",
        "--model.float32-head",
        "--data.cache there --data.cache-gib 3 --data.store s3://bucket/store",
        "--data.index a --data.policy natural",
        "--run.monitor accuracy",
        "--data.start-image-size 96 --optim.epochs 2",
    ):
        check_flags(parse_train(line.split()), line.split())
