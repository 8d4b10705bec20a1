"""The training loop (``launch/train.py``). It knows steps, not decoders: the loader brings batches.

Everything that happens at a step is a function of (configuration, store, step): the batch, the
learning rate, dropout, what is frozen. That makes a resumed run equal to one never stopped.
"""

from __future__ import annotations

import math
import time
from contextlib import ExitStack, nullcontext, suppress
from functools import partial
from typing import Any, cast, get_args

import torch
from accelerate import Accelerator
from torch import Tensor

from glr_fast import models
from glr_fast.checkpoint import CARD, CLASSES, TrainState
from glr_fast.checkpoint_writer import CheckpointWriter
from glr_fast.config import Config, Monitor
from glr_fast.data import Batch, Loader, Store, normalise
from glr_fast.environment import write_environment
from glr_fast.evaluation import check_complete, figures_of, predict
from glr_fast.failures import explained
from glr_fast.logbook import Logbook, Timer
from glr_fast.mixing import mix
from glr_fast.optim import set_lr
from glr_fast.run_end import leave_curves, summary_of
from glr_fast.run_lock import RunLock
from glr_fast.run_model import RunModel
from glr_fast.run_start import (
    Continuation,
    agree,
    best_before,
    check_folder,
    classes_file,
    contents,
    open_accelerator,
    open_split,
    share_buffers,
    start_trackers,
    with_fitting_batch,
    write_config,
)
from glr_fast.running_sums import RunningSums
from glr_fast.schedule import Schedule, seed_of_step
from glr_fast.stop_signals import StoppedError, StopSignals
from glr_fast.train_batches import TrainBatches


def train(config: Config) -> Trainer:
    """Train as configured; returns the trainer when it is done, or stopped by SIGTERM or SIGUSR1.

    Raises:
        ConfigError, StoreError: bad input.
        TrainingError: the loss is not finite, a checkpoint cannot be written, or another process
            of the run has died.
        KeyboardInterrupt: with a message that says how to continue.
    """
    accelerator = open_accelerator(config)
    with explained(accelerator, config.out) as failure, ExitStack() as ending:
        trainer = Trainer(config, accelerator)
        ending.callback(lambda: trainer.close(failed=True))
        failure.set_up = False
        trainer.fit()
        ending.pop_all()
        if trainer.step >= trainer.schedule.last:
            trainer.logbook.closing(config, trainer.summary())
        trainer.close()
        if accelerator.is_main_process:
            leave_curves(trainer.config)
    return trainer


class Trainer:
    """A run: model, optimiser, loaders, and the step it is at."""

    def __init__(self, config: Config, accelerator: Accelerator) -> None:
        self.accelerator = accelerator
        self.store = Store.open(config.data.store)
        self.config = config = with_fitting_batch(config, self.store, accelerator)
        self.lock = RunLock(config.out)
        with ExitStack() as undo:
            undo.callback(self.lock.release)
            agree(accelerator, self.lock.take)
            start = agree(accelerator, lambda: check_folder(config, self.store))
            opened = partial(open_split, config, self.store, accelerator)
            first = config.data.start_image_size or config.data.image_size
            self.loader = TrainBatches(partial(opened, "train"), first)
            undo.callback(self.loader.close)
            has_val = config.run.eval_every > 0 and len(self.store.split_rows("val")) > 0
            self.val_loader = opened("val") if has_val else None
            if self.val_loader:
                undo.callback(self.val_loader.close)
            self.schedule = Schedule.of(config, self.loader.steps_per_epoch)
            self.loader.size_at = self.schedule.image_size
            built = RunModel.build(config, self.store, accelerator, resumed=start is not None)
            self.built, self.model, self.bare_model = built, built.model, built.bare
            self.optimizer, self.card, self.loss = built.optimizer, built.card, built.loss
            self.export = {CARD: built.card.to_json().encode(), CLASSES: classes_file(self.store)}
            self.began, self.step = time.perf_counter(), 0
            self.best: dict[str, float] | None = None
            self.sums = RunningSums(accelerator)
            self.grad_norm: Tensor | None = None
            self.frozen: bool | None = None  # as the model now is; None after an evaluation
            self._start(start)
            if built.origin:
                self.logbook.say(built.origin)
            undo.pop_all()

    def fit(self) -> None:
        """Train from the present step to the last, or until a signal asks to stop."""
        schedule, batches = self.schedule, self.loader.stream(self.step)
        with StopSignals(self.accelerator.num_processes) as stop:
            try:
                if self.owes_evaluation:
                    self.evaluate(stop)
                while self.step < schedule.last:
                    with self.timer.span("data"):
                        batch = next(batches)
                    self.train_step(batch)
                    stop.beat()
                    self.writer.poll()
                    if schedule.due(schedule.log_every, self.step):
                        self.log()
                    stopping = schedule.between_updates(self.step) and stop.asked()
                    evaluating = self.val_loader and schedule.due(schedule.eval_every, self.step)
                    # Before the evaluation, which takes long and may fail.
                    if (
                        stopping
                        or schedule.due(schedule.save_every, self.step)
                        or (evaluating and self.accelerator.num_processes > 1)
                    ):
                        self.save()
                    if stopping:
                        raise StoppedError
                    if evaluating:
                        self._evaluate_or_save(stop)
            except StoppedError:
                if self.saved != self.step:
                    self.save()
                self.writer.wait()
                self.logbook.stopped(stop.cause, self.step, self.config.out)
            self.writer.wait()

    def train_step(self, batch: Batch) -> None:
        """Forward, backward, and an update when enough batches have come. Nothing is read back."""
        self._enter_step()
        ends_update = self.schedule.ends_update(self.step)
        images = normalise(batch.images, self.card.mean, self.card.std)
        mixed = mix(self.config.mix, images, batch.labels, self._seed())
        reweighted = self.schedule.is_reweighted(self.step)
        weights = self.built.class_weights if reweighted else None
        with nullcontext() if ends_update else self.accelerator.no_sync(self.model):
            logits = self.model(mixed.images)
            loss = mixed.loss(lambda labels: self.loss(logits, labels, weights))
            self.accelerator.backward(loss / self.schedule.accumulate)
        if ends_update:
            self._update()
        right = (logits.detach().argmax(1) == mixed.main_labels).sum()
        self.sums.add(loss, right, len(batch.labels))
        self.step += 1
        self.logbook.advance()

    def log(self) -> None:
        """Read the sums back, write them down, begin new ones."""
        figures = {
            "epoch": self.step / self.schedule.steps_per_epoch,
            "train/lr": self.schedule.lr(self.step - 1),
            **self.sums.figures(self.step, *self.timer.read()),
        }
        if self.grad_norm is not None:
            figures["train/grad_norm"] = float(self.grad_norm)
        self.sums.clear()
        self.logbook.train(self.step, self.schedule.last, figures)

    def evaluate(self, stop: StopSignals | None = None) -> None:
        """Evaluate on the validation split; keep the weights if they are the best so far.

        Raises:
            StoppedError: ``stop`` had a signal, and nothing of this was kept.
        """
        with self.timer.span("evaluate"):
            share_buffers(self.accelerator, self.built.answering)
            loader = cast(Loader, self.val_loader)
            with stop.at_once() if stop else nullcontext():
                predictions = predict(self.accelerator, self.built.answering, loader, self.card)
            self.frozen = None  # predict has left the model in eval mode
            check_complete(predictions, self.store, "val")
            counts = self.store.class_counts("train")
            figures = agree(self.accelerator, lambda: figures_of(predictions, counts))
            better = self._is_better(figures)
            best = {name: figures[name] for name in get_args(Monitor)} if better else self.best
            if self.accelerator.is_main_process:
                weights = self.built.answering.state_dict() if better else None
                self.writer.evaluated(self.step, best, weights, self.export)
            self.best, self.owes_evaluation = best, False
        self.logbook.validation(self.step, self.schedule.last, figures, better)

    def _evaluate_or_save(self, stop: StopSignals) -> None:
        """Evaluate; should that fail, the steps since the last checkpoint are not lost."""
        try:
            self.evaluate(stop)
        except StoppedError:
            raise
        except Exception:
            if self.saved != self.step:
                with suppress(Exception):  # what has failed first is what is said
                    self.save()
                    self.writer.wait()
            raise

    def save(self) -> None:
        """Write a checkpoint, in the background."""
        with self.timer.span("save"):
            last = self.step == self.schedule.last
            due = self.schedule.due(self.schedule.eval_every, self.step)
            state = TrainState(
                step=self.step,
                num_classes=self.store.num_classes,
                store=contents(self.config, self.store),
                best=self.best,
                window=self.sums.read(self.step),
                evaluated=not (self.val_loader and (due or self.owes_evaluation)),
            )
            if self.accelerator.is_main_process:
                parts = self.built.parts(self.accelerator.scaler)
                self.writer.save(state, parts, self.export)
                if last and not self.val_loader:  # the last weights are the best known
                    self.writer.evaluated(self.step, None, parts.model, self.export)
        self.saved = self.step

    def close(self, failed: bool = False) -> None:
        """Stop the loaders, finish what is being written, and let others have the folder."""
        self.loader.close()
        if self.val_loader:
            self.val_loader.close()
        self.writer.close()
        self.logbook.close(failed)
        self.lock.release()

    def _is_better(self, figures: dict[str, Any]) -> bool:
        name = self.config.run.monitor
        finite = math.isfinite(figures["loss"]) and math.isfinite(figures[name])
        return finite and (self.best is None or figures[name] > self.best[name])

    def summary(self) -> dict[str, Any]:
        """What became of the run, as :func:`~glr_fast.run_end.summary_of` says it."""
        seconds = time.perf_counter() - self.began
        return summary_of(self.config, self.step, seconds, self.best)

    def _enter_step(self) -> None:
        """Put model and random numbers into the state that the present step calls for."""
        frozen = self.schedule.is_frozen(self.step)
        if frozen != self.frozen:
            models.set_frozen(self.bare_model, frozen)
            models.train_mode(self.bare_model, frozen, self.config.model.fix_batch_norm)
            self.frozen = frozen
        torch.manual_seed(self._seed())

    def _update(self) -> None:
        set_lr(self.optimizer, self.schedule.lr(self.step))
        clip = self.config.optim.clip_norm
        if clip is not None:
            parameters = self.model.parameters()
            self.grad_norm = self.accelerator.clip_grad_norm_(parameters, clip)
        self.optimizer.step()
        self.optimizer.zero_grad()
        if not self.optimizer.step_was_skipped:  # as fp16 does at an overflow
            self.built.updated(self.step // self.schedule.accumulate + 1)
            if self.accelerator.is_main_process:  # now the optimiser has all its state
                self.writer.reserve(lambda: self.built.parts(self.accelerator.scaler))

    def _seed(self) -> int:
        return seed_of_step(self.config.seed, self.step, self.accelerator.process_index)

    def _start(self, start: Continuation | None) -> None:
        """Load what is to be continued; open the books."""
        accelerator, config = self.accelerator, self.config
        evaluated = True
        if start is not None:
            state = start.state
            self.built.load(start.folder, accelerator.scaler)
            self.step, self.best, evaluated = state.step, state.best, state.evaluated
            self.sums.restore(state.window)
        elif config.resume:  # of a run whose checkpoints are gone: not to be replaced by worse
            self.best = best_before(config.out)
        self.saved = self.step if start else None
        self.owes_evaluation = bool(self.val_loader) and not evaluated
        self.writer = CheckpointWriter(config.out, config.run.keep)
        agree(accelerator, lambda: write_config(config))
        agree(accelerator, lambda: write_environment(config.out, accelerator, self.step))
        start_trackers(accelerator, config)
        last = self.schedule.last
        self.logbook = Logbook(accelerator, config.out, last, self.step, evaluated)
        done = self.step >= last and not self.owes_evaluation
        self.logbook.opening(config, self.store.num_classes, self.step, done)
        self.timer = Timer()
