"""The training loop (``launch/train.py``). It knows steps, not decoders: the loader brings batches.

Everything that happens at a step is a function of (configuration, store, step): the batch, the
learning rate, dropout, what is frozen. That makes a resumed run equal to one never stopped.
"""

from __future__ import annotations

import math
from contextlib import nullcontext
from dataclasses import replace
from typing import Any, cast

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import torch
from accelerate import Accelerator
from torch import Tensor, nn

from glr_fast import models
from glr_fast.checkpoint import (
    CARD,
    CLASSES,
    TrainState,
    newest_checkpoint,
    save_best,
    save_checkpoint,
)
from glr_fast.config import Config
from glr_fast.data import Batch, Loader, Rank, Store, bad_samples_file, normalise, open_loader
from glr_fast.errors import TrainingError
from glr_fast.evaluate import check_complete, figures_of, predict
from glr_fast.logbook import Logbook, Timer
from glr_fast.losses import build_loss, effective_number_weights
from glr_fast.model_card import ModelCard
from glr_fast.optim import build_optimizer, set_lr
from glr_fast.run_start import (
    agree,
    check_folder,
    fingerprint,
    open_accelerator,
    start_trackers,
    write_config,
)
from glr_fast.schedule import Schedule


def train(config: Config) -> Trainer:
    """Train as configured; returns the trainer when it is done.

    Raises:
        ConfigError, StoreError: bad input.
        TrainingError: the loss is not finite.
        KeyboardInterrupt: with a message that says how to continue.
    """
    trainer = Trainer(config, open_accelerator(config))
    try:
        trainer.fit()
    except KeyboardInterrupt:
        saved = newest_checkpoint(config.out)
        where = f"last checkpoint {saved}" if saved else "no checkpoint yet"
        raise KeyboardInterrupt(f"{where}; continue with the same command and --resume") from None
    finally:
        trainer.close()
    return trainer


class Trainer:
    """A run: model, optimiser, loaders, and the step it is at."""

    def __init__(self, config: Config, accelerator: Accelerator) -> None:
        self.config = config
        self.accelerator = accelerator
        self.store = Store.open(config.data.store)
        state = agree(accelerator, lambda: check_folder(config, self.store))
        self.loader = self._open_loader("train")
        has_val = config.run.eval_every > 0 and len(self.store.split_rows("val")) > 0
        self.val_loader = self._open_loader("val") if has_val else None
        self.schedule = Schedule.of(config, self.loader.steps_per_epoch)
        self._build_model()
        self.step = 0
        self.best: float | None = None
        # Sums since the last log line: loss, right answers, photos. Read back only when logging.
        self.window = torch.zeros(3, dtype=torch.float64, device=accelerator.device)
        self.grad_norm: Tensor | None = None
        self.frozen: bool | None = None  # as the model now is; None after an evaluation
        self._start(state)

    def fit(self) -> None:
        """Train from the present step to the last."""
        schedule, batches = self.schedule, self.loader.stream(self.step)
        while self.step < schedule.last:
            with self.timer.span("data"):
                batch = next(batches)
            self.train_step(batch)
            if schedule.due(schedule.log_every, self.step):
                self.log()
            if self.val_loader and schedule.due(schedule.eval_every, self.step):
                self.evaluate()
            if schedule.due(schedule.save_every, self.step):
                self.save()

    def train_step(self, batch: Batch) -> None:
        """Forward, backward, and an update when enough batches have come. Nothing is read back."""
        self._enter_step()
        ends_update = self.schedule.ends_update(self.step)
        with nullcontext() if ends_update else self.accelerator.no_sync(self.model):
            logits = self.model(normalise(batch.images, self.card.mean, self.card.std))
            loss = self.loss(logits, batch.labels, self._weights_now())
            self.accelerator.backward(loss / self.schedule.accumulate)
        if ends_update:
            self._update()
        right = (logits.detach().argmax(1) == batch.labels).sum()
        photos = torch.full_like(loss, len(batch.labels))
        self.window += torch.stack([loss.detach() * photos, right, photos])
        self.step += 1
        self.logbook.advance()

    def log(self) -> None:
        """Read the window back, write it down, start a new one."""
        loss, right, photos = self._read_window()
        seconds, spans = self.timer.read()
        busy = max(1e-9, seconds - spans.get("evaluate", 0) - spans.get("save", 0))
        figures = {
            "epoch": self.step / self.schedule.steps_per_epoch,
            "train/loss": loss / photos,
            "train/accuracy": right / photos,
            "train/lr": self.schedule.lr(self.step - 1),
            "throughput(images/s)": photos / busy,
            "data_wait(%)": 100 * spans.get("data", 0) / busy,
        }
        if self.grad_norm is not None:
            figures["train/grad_norm"] = float(self.grad_norm)
        self.window.zero_()
        self.logbook.train(self.step, self.schedule.last, figures)

    def evaluate(self) -> None:
        """Evaluate on the validation split; keep the weights if they are the best so far."""
        with self.timer.span("evaluate"):
            self._share_buffers()
            batches = cast(Loader, self.val_loader).epoch()
            predictions = predict(self.accelerator, self.bare_model, batches, self.card)
            self.frozen = None  # predict has left the model in eval mode
            check_complete(predictions, self.store, "val")
            counts = self.store.class_counts("train")
            figures = agree(self.accelerator, lambda: figures_of(predictions, counts))
            value = figures[self.config.run.monitor]
            better = self.best is None or value > self.best
            if better:
                self.best = value
                self._export_best(figures)
        self.logbook.validation(self.step, self.schedule.last, figures, better)

    def save(self) -> None:
        """Write a checkpoint."""
        with self.timer.span("save"):
            state = TrainState(
                step=self.step,
                num_classes=self.store.num_classes,
                store=fingerprint(self.store),
                best=self.best,
                window=self._read_window(),
            )
            run, keep = self.config.out, self.config.run.keep
            save_checkpoint(self.accelerator, run, state, self._export(), keep)
            if self.best is None and self.step == self.schedule.last:
                self._export_best({})  # nothing was evaluated: the last weights are the best known

    def close(self) -> None:
        """Stop the loaders and finish the trackers."""
        self.loader.close()
        if self.val_loader:
            self.val_loader.close()
        self.logbook.close()

    def _enter_step(self) -> None:
        """Put model and random numbers into the state that the present step calls for."""
        frozen = self.schedule.is_frozen(self.step)
        if frozen != self.frozen:
            models.set_frozen(self.bare_model, frozen)
            models.train_mode(self.bare_model, frozen, self.config.model.fix_batch_norm)
            self.frozen = frozen
        words = np.random.SeedSequence(
            (self.config.seed, self.step, self.accelerator.process_index)
        ).generate_state(2)
        torch.manual_seed(int(words[0]) << 32 | int(words[1]))

    def _update(self) -> None:
        set_lr(self.optimizer, self.schedule.lr(self.step))
        clip = self.config.optim.clip_norm
        if clip is not None:
            parameters = self.model.parameters()
            self.grad_norm = self.accelerator.clip_grad_norm_(parameters, clip)
        self.optimizer.step()
        self.optimizer.zero_grad()

    def _weights_now(self) -> Tensor | None:
        return self.class_weights if self.schedule.is_reweighted(self.step) else None

    def _read_window(self) -> tuple[float, float, float]:
        """Loss sum, right answers, photos since the last log line, over all processes."""
        sums = self.accelerator.reduce(self.window, "sum")
        loss, right, photos = cast(Tensor, sums).tolist()
        if not math.isfinite(loss):
            raise TrainingError(
                f"the loss is not finite at or shortly before step {self.step}; nothing of these "
                "steps was saved; lower --optim.lr, lengthen --optim.warmup-epochs, or leave fp16 "
                "for --precision bf16"
            )
        return loss, right, photos

    def _share_buffers(self) -> None:
        """Give all processes the main one's batch-norm statistics, which are what is saved."""
        if self.accelerator.num_processes > 1:
            for buffer in self.bare_model.buffers():
                torch.distributed.broadcast(buffer, 0)

    def _open_loader(self, split: str) -> Loader:
        data, accelerator = self.config.data, self.accelerator
        training = split == "train"
        return open_loader(
            self.store,
            split,
            data if training else replace(data, image_size=self.config.eval_size),
            seed=self.config.seed,
            rank=Rank(accelerator.process_index, accelerator.num_processes),
            device=accelerator.device,
            train=training,
            bad_samples=self.config.out / bad_samples_file(accelerator.process_index),
        )

    def _build_model(self) -> None:
        config, accelerator = self.config, self.accelerator
        counts = torch.from_numpy(self.store.class_counts("train"))
        torch.manual_seed(config.seed)
        with accelerator.main_process_first():  # the others find the download in the cache
            model = models.build_model(config.model, self.store.num_classes)
        self.card = ModelCard.of(model, config, self.store.num_classes)
        self.loss = build_loss(config.loss, counts, config.logit_scale).to(accelerator.device)
        weights = effective_number_weights(counts, config.loss.reweight_beta)
        self.class_weights = weights.to(accelerator.device)
        model = models.place(model, accelerator.device)
        optimizer = build_optimizer(config.optim, model)
        self.model, self.optimizer = accelerator.prepare(model, optimizer)
        self.bare_model = cast(nn.Module, accelerator.unwrap_model(self.model))

    def _start(self, state: TrainState | None) -> None:
        """Load what is to be continued; open the books."""
        if state is not None:
            self.accelerator.load_state(str(newest_checkpoint(self.config.out)))
            self.step, self.best = state.step, state.best
            if self.accelerator.is_main_process:
                self.window += torch.tensor(state.window, dtype=torch.float64).to(self.window)
        if self.accelerator.is_main_process:
            write_config(self.config)
        self.accelerator.wait_for_everyone()
        start_trackers(self.accelerator, self.config)
        self.logbook = Logbook(self.accelerator, self.config.out, self.schedule.last, self.step)
        done = self.step >= self.schedule.last
        self.logbook.opening(self.config, self.store.num_classes, self.step, done)
        self.timer = Timer()

    def _export(self) -> dict[str, bytes]:
        """What lies beside weights so that they can be used without the store."""
        classes = pa.BufferOutputStream()
        pq.write_table(self.store.classes(), classes)
        return {CARD: self.card.to_json().encode(), CLASSES: classes.getvalue().to_pybytes()}

    def _export_best(self, figures: dict[str, Any]) -> None:
        if self.accelerator.is_main_process:
            note = {"step": self.step}
            note |= {k: figures[k] for k in ("accuracy", "macro_f1") if k in figures}
            save_best(self.config.out, self.bare_model, self._export(), note)
