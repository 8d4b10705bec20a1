"""What a run trains: the model with its starting weights, its loss and its optimiser."""

from __future__ import annotations

import sys
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, cast

import torch
from accelerate import Accelerator
from timm.utils.model_ema import ModelEmaV3
from torch import Tensor, nn

from glr_fast import memory, models
from glr_fast.checkpoint_writer import Parts, load_checkpoint
from glr_fast.config import Config
from glr_fast.data import Store
from glr_fast.losses import build_loss, effective_number_weights
from glr_fast.model_card import ModelCard
from glr_fast.optim import build_optimizer
from glr_fast.schedule import growing_sizes
from glr_fast.trained_model import load_model
from glr_fast.warm_start import start_from


@dataclass(frozen=True)
class RunModel:
    """The trained parts of a run, on its device."""

    model: nn.Module
    """As Accelerate has prepared it: wrapped for several processes, compiled, ..."""
    bare: nn.Module
    """The same without wrappers: its weights have timm's names."""
    card: ModelCard
    """Architecture, image size, normalisation."""
    loss: nn.Module
    """(logits, labels, class weights or None) to the mean loss."""
    class_weights: Tensor
    """Of the deferred re-weighting. Shape (classes,), float32."""
    optimizer: Any
    """As Accelerate has prepared it."""
    average: ModelEmaV3 | None
    """Moving average of the bare model's weights and statistics, with ``--optim.ema``."""
    origin: str | None
    """Where the weights come from with ``--init-from``, in a line."""

    @property
    def answering(self) -> nn.Module:
        """What is evaluated and kept as the best: the average where there is one."""
        return self.average.module if self.average else self.bare

    def updated(self, updates: int) -> None:
        """Let the average follow, if there is one.

        Args:
            updates: of the weights so far, the last one with them.
        """
        if self.average:
            self.average.update(self.bare, updates)

    def parts(self, scaler: Any) -> Parts:
        """What a checkpoint holds of it.

        Args:
            scaler: of the gradients, with fp16, or None.
        """
        return Parts(
            model=self.answering.state_dict(),
            optimizer=self.optimizer.state_dict(),
            scaler=scaler.state_dict() if scaler else None,
            trained=self.bare.state_dict() if self.average else None,
        )

    def load(self, folder: Path, scaler: Any) -> None:
        """Take all of it from a checkpoint.

        Args:
            folder: a whole checkpoint.
            scaler: as for ``parts``.

        Raises:
            ConfigError: damaged.
        """
        average = self.average.module if self.average else None
        load_checkpoint(folder, self.bare, self.optimizer, scaler, average)

    @classmethod
    def build(
        cls, config: Config, store: Store, accelerator: Accelerator, resumed: bool
    ) -> RunModel:
        """Make all of it; every process calls this.

        Args:
            config: of the run.
            store: whose classes are learned.
            accelerator: prepares model and optimiser.
            resumed: a checkpoint will be loaded: no other weights are fetched before.

        Raises:
            ConfigError: a model, weights or an image size that cannot be had or do not fit.
        """
        counts = torch.from_numpy(store.class_counts("train"))
        torch.manual_seed(config.seed)
        chosen = config.model
        if resumed or config.init_from is not None:
            chosen = replace(chosen, pretrained=False, weights=None)
        with accelerator.main_process_first():  # the others find the download in the cache
            model = models.build_model(chosen, store.num_classes, config.head_scale)
        card = ModelCard.of(model, config, store.num_classes)
        origin = None
        if config.init_from is not None and not resumed:
            trained = load_model(config.init_from, device="cpu")
            ids = store.classes()["landmark_id"].to_pylist()
            origin = start_from(model, card, ids, trained)
        loss = build_loss(config.loss, counts, config.scale, config.head_scale)
        weights = effective_number_weights(counts, config.loss.reweight_beta)
        model = models.place(model, accelerator.device)
        models.check_image_sizes(model, image_sizes(config))
        here = accelerator.device.type == "cpu" and accelerator.is_local_main_process
        if here and (warning := memory.warning_of(config, model, accelerator.num_processes)):
            print(f"warning: {warning}", file=sys.stderr, flush=True)
        optimizer = build_optimizer(config.optim, model)
        # Before Accelerate puts autocast around the model's forward, which a copy would share.
        average = moving_average(model, config.optim.ema)
        wrapped, prepared = accelerator.prepare(model, optimizer)
        bare = accelerator.unwrap_model(wrapped, keep_torch_compile=False)
        return cls(
            model=wrapped,
            bare=cast(nn.Module, bare),
            card=card,
            loss=loss.to(accelerator.device),
            class_weights=weights.to(accelerator.device),
            optimizer=prepared,
            average=average,
            origin=origin,
        )


def image_sizes(config: Config) -> list[tuple[str, int]]:
    """Every size of image that a run shows its model, by the flag that it comes from.

    Crops grow through sizes that no flag names: a model that takes the first and the last of them
    need not take those.
    """
    data = config.data
    sizes = [("--data.image-size", data.image_size), ("--data.eval-image-size", config.eval_size)]
    growing = growing_sizes(data.start_image_size, data.image_size, config.optim.epochs)
    for size in sorted({*growing} - {data.image_size}):
        through = "" if size == data.start_image_size else f" {data.start_image_size}, crops of"
        sizes.append((f"--data.start-image-size{through}", size))
    return sizes


def moving_average(model: nn.Module, decay: float | None) -> ModelEmaV3 | None:
    """A copy of a model that will hold the moving average of its weights; None without a decay.

    It is timm's and not torch's ``AveragedModel``, whose decay is the same from the first update
    on: the head, which begins as noise, would fade from the average over ``1 / (1 - decay)``
    updates only. Both can average batch-norm statistics and update all tensors at once.
    """
    if decay is None:
        return None
    return ModelEmaV3(model, decay, use_warmup=True, warmup_power=3 / 4)
