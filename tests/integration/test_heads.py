"""Every head and loss from training to prediction: one scale, the same probabilities everywhere."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch.nn import functional as F

from glr_fast.config import Config, DataConfig, ModelConfig, OptimConfig, RunConfig
from glr_fast.data import LoaderOptions, Store, normalise, open_loader
from glr_fast.evaluate_options import EvaluateOptions
from glr_fast.evaluation import evaluate
from glr_fast.recipes import RECIPES
from glr_fast.trained_model import load_model
from glr_fast.trainer import train
from tests.helpers.runs import read_metrics

LOSSES = ["ce", "ldam", "ldam_drw", "logit_adjustment", "arcface"]


def config(store: Path, out: Path, loss: str, **changes: Any) -> Config:
    """The recipe of a loss on a tiny network, two epochs."""
    recipe = RECIPES[f"resnet50_{loss}"]()
    model = replace(recipe.model, name="test_resnet", pretrained=False)
    return replace(
        recipe,
        data=DataConfig(store=store, batch_size=8, image_size=48, threads=1),
        model=replace(model, **changes),
        optim=OptimConfig(epochs=2, lr=0.01, backbone_lr_scale=1.0),
        run=RunConfig(log_every=1, save_every=1),
        out=out,
        tracker="none",
    )


@pytest.mark.parametrize("loss", LOSSES)
def test_a_recipe_is_trained_resumed_and_evaluated(store: Path, tmp_path: Path, loss: str) -> None:
    wanted = config(store, tmp_path / "run", loss)
    whole = train(wanted)
    part = replace(wanted, out=tmp_path / "part", run=replace(wanted.run, max_steps=3))
    train(part)
    resumed = train(replace(part, resume=True, run=wanted.run))
    for name, value in whole.bare_model.state_dict().items():
        assert torch.equal(resumed.bare_model.state_dict()[name], value), name
    folder = tmp_path / "eval"
    options = EvaluateOptions(
        run=wanted.out, store=store, split="val", checkpoint="last", out=folder
    )
    figures = evaluate(options)
    logged = [line for line in read_metrics(wanted.out) if "val/loss" in line][-1]
    assert figures["loss"] == pytest.approx(logged["val/loss"], rel=1e-5)
    # The probabilities behind that loss are those of the formula, computed from the weights.
    assert figures["loss"] == pytest.approx(by_hand(wanted, whole.bare_model), rel=1e-4)


def by_hand(wanted: Config, model: torch.nn.Module) -> float:
    """Mean cross-entropy on the validation photos, with s applied to cosines or linear outputs."""
    card = load_model(wanted.out, "last", "cpu").card
    state = model.eval().state_dict()
    options = LoaderOptions(batch_size=64, image_size=48, backend="cpu", threads=1)
    losses = []
    with (
        torch.inference_mode(),
        open_loader(Store.open(wanted.data.store), "val", options, train=False) as loader,
    ):
        for batch in loader.epoch():
            maps = model.forward_features(normalise(batch.images, card.mean, card.std))  # type: ignore[operator]
            if wanted.model.pool == "gem":
                p = state["global_pool.p"]
                features = maps.clamp(min=1e-6).pow(p).mean((2, 3)).pow(1 / p)
            else:
                features = maps.mean((2, 3))
            if wanted.model.head == "linear":
                logits = features @ state["fc.weight"].T + state["fc.bias"]
            else:
                weight = state["fc.weight"].view(-1, wanted.model.centers, features.shape[1])
                cosines = F.cosine_similarity(features[:, None, None], weight[None], dim=-1)
                logits = 30 * cosines.amax(2)
            kept = slice(batch.valid)
            losses.append(F.cross_entropy(logits[kept], batch.labels[kept], reduction="none"))
    return torch.cat(losses).mean().item()


def test_a_float32_head_and_gem_survive_the_run_folder(store: Path, tmp_path: Path) -> None:
    changes = {"float32_head": True, "pool": "gem"}
    wanted = config(store, tmp_path / "run", "ce", **changes)
    train(wanted)
    card = load_model(wanted.out, device="cpu").card
    assert (card.float32_head, card.pool) == (True, "gem")
    assert wanted.model == replace(ModelConfig(name="test_resnet", pretrained=False), **changes)


def test_arcface_learns(store: Path, tmp_path: Path) -> None:
    """The loss of a few photos falls well below its start, in spite of the margin."""
    wanted = config(store, tmp_path / "run", "arcface")
    wanted = replace(wanted, optim=replace(wanted.optim, epochs=12))
    train(replace(wanted, run=replace(wanted.run, eval_every=0, save_every=0)))
    losses = [line["train/loss"] for line in read_metrics(wanted.out) if "train/loss" in line]
    assert np.mean(losses[-3:]) < 0.7 * np.mean(losses[:3])
