"""What happens at which step: pure functions of the configuration and the length of an epoch.

A step is one global batch; ``accumulate`` of them make one update.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from fractions import Fraction

import numpy as np

from glr_fast.config import Config
from glr_fast.errors import ConfigError


@dataclass(frozen=True)
class Schedule:
    """The steps of a run. Make one with ``of``."""

    steps_per_epoch: int
    """Global batches of an epoch."""
    accumulate: int
    """Global batches per update."""
    total: int
    """Steps of all epochs, whole updates only; the learning rate is laid out over them."""
    last: int
    """Step at which this run ends."""
    peak_lr: float
    """Learning rate of the head at its peak."""
    min_ratio: float
    """Where the cosine ends, as a share of the peak."""
    warmup: int
    """Updates of the warm-up."""
    frozen_until: int
    """First step at which the backbone is trained."""
    reweighted_from: int | None
    """First step with class weights; None for never."""
    log_every: int
    """Steps between log lines."""
    eval_every: int
    """Steps between evaluations; 0 for never."""
    save_every: int
    """Steps between checkpoints; 0 for only the last."""
    image_sizes: tuple[int, ...]
    """Side of the training crop in each epoch, in pixels."""

    @classmethod
    def of(cls, config: Config, steps_per_epoch: int) -> Schedule:
        """The schedule of a configuration.

        Raises:
            ConfigError: the run is shorter than one update.
        """
        optim, run, accumulate = config.optim, config.run, config.optim.accumulate_steps
        steps = optim.epochs * steps_per_epoch
        if steps < accumulate:
            raise ConfigError(
                f"--optim.accumulate-steps {accumulate}: the whole run has {steps} batches; take a "
                "smaller --data.batch-size or more --optim.epochs"
            )
        total = steps // accumulate * accumulate

        def updates(steps: Fraction | int) -> int:
            """Steps up to the end of the update that completes so many."""
            return math.ceil(Fraction(steps) / accumulate) * accumulate

        def epochs(count: float, of: int = 1) -> int:
            """So many times ``of`` epochs in steps. Exact: 0.7 is 7/10, not the float beside it."""
            return updates(Fraction(str(count)) * of * steps_per_epoch)

        wanted = total if run.max_steps is None else updates(run.max_steps)
        start = config.loss.reweight_from
        return cls(
            steps_per_epoch=steps_per_epoch,
            accumulate=accumulate,
            total=total,
            last=min(total, wanted),
            peak_lr=optim.lr,
            min_ratio=optim.min_lr_ratio,
            warmup=round(optim.warmup_epochs * steps_per_epoch / accumulate),
            frozen_until=epochs(config.model.freeze_epochs),
            reweighted_from=None if start is None else epochs(start, optim.epochs),
            log_every=run.log_every,
            eval_every=epochs(run.eval_every),
            save_every=epochs(run.save_every),
            image_sizes=growing_sizes(
                config.data.start_image_size, config.data.image_size, optim.epochs
            ),
        )

    def lr(self, step: int) -> float:
        """Learning rate of the head for the update that a step belongs to."""
        update, updates = step // self.accumulate, self.total // self.accumulate
        return self.peak_lr * lr_factor(update, updates, self.warmup, self.min_ratio)

    def image_size(self, step: int) -> int:
        """Side of the training crop at this step, in pixels."""
        return self.image_sizes[min(step // self.steps_per_epoch, len(self.image_sizes) - 1)]

    def ends_update(self, step: int) -> bool:
        """Whether the batch of this step (from 0) completes an update."""
        return (step + 1) % self.accumulate == 0

    def between_updates(self, done: int) -> bool:
        """Whether no gradients are waiting for more batches after ``done`` steps."""
        return done % self.accumulate == 0

    def is_frozen(self, step: int) -> bool:
        """Whether the backbone is frozen at this step."""
        return step < self.frozen_until

    def is_reweighted(self, step: int) -> bool:
        """Whether the loss has class weights at this step."""
        return self.reweighted_from is not None and step >= self.reweighted_from

    def due(self, every: int, done: int) -> bool:
        """Whether, after ``done`` steps, something is due that happens ``every`` so many steps.

        Only between updates, and always at the end of the run.
        """
        if not self.between_updates(done):
            return False
        passed = every > 0 and done // every != (done - self.accumulate) // every
        return passed or done == self.last


def lr_factor(update: int, total: int, warmup: int, min_ratio: float) -> float:
    """Learning rate of an update as a share of its peak: linear warm-up, then a half cosine.

    Args:
        update: number of the update, from 0.
        total: updates of the whole run.
        warmup: updates of the warm-up; the last of them is at the peak.
        min_ratio: where the cosine ends, at update ``total``.
    """
    if update < warmup:
        return (update + 1) / warmup
    progress = min(1.0, (update - warmup) / max(1, total - warmup))
    return min_ratio + (1 - min_ratio) * (1 + math.cos(math.pi * progress)) / 2


def growing_sizes(start: int | None, full: int, epochs: int) -> tuple[int, ...]:
    """Side of the training crop in each epoch: progressive resizing (Tan and Le, arXiv:2104.00298).

    Linear over the first three quarters of the epochs, in steps of 32 pixels from the full size
    downwards, the first epoch at ``start``; the rest of the epochs, and always the last one, at the
    full size, which is the one that is evaluated.

    Args:
        start: of the first epoch, in pixels; None for the full size throughout.
        full: in the end, in pixels.
        epochs: of the run.
    """
    if start is None:
        return (full,) * epochs
    growing = min(epochs - 1, math.ceil(epochs * 3 / 4))
    sizes = [start]
    for epoch in range(1, growing):
        missing = Fraction((full - start) * (growing - epoch), growing)
        sizes.append(max(start, full - math.ceil(missing / 32) * 32))
    return tuple(sizes[:growing]) + (full,) * (epochs - growing)


def seed_of_step(seed: int, step: int, rank: int) -> int:
    """The seed of torch's random numbers at a step of a process: dropout and the like."""
    words = np.random.SeedSequence((seed, step, rank)).generate_state(2)
    return int(words[0]) << 32 | int(words[1])
