"""The training batches of a run, from a loader that is opened again where the crops grow."""

from __future__ import annotations

from collections.abc import Callable, Iterator

from glr_fast.data import Batch, Loader


class TrainBatches:
    """As a loader, but with crops whose size depends on the step.

    Args:
        open_at: opens a loader of crops with this side, in pixels.
        size: of the first loader, in pixels.
    """

    def __init__(self, open_at: Callable[[int], Loader], size: int) -> None:
        self._open_at, self._size = open_at, size
        self._loader = open_at(size)
        self.steps_per_epoch = self._loader.steps_per_epoch
        """Global batches of an epoch, the same for all sizes."""
        self.size_at: Callable[[int], int] = lambda step: size
        """Side of the crops at a step, in pixels; it changes between epochs only."""

    def stream(self, step: int = 0) -> Iterator[Batch]:
        """Batches from a global step on, without end: a function of the step, as a loader's are."""
        batches: Iterator[Batch] | None = None
        while True:
            wanted = self.size_at(step)
            if wanted != self._size:
                self._loader.close()
                self._loader, self._size, batches = self._open_at(wanted), wanted, None
            if batches is None:
                batches = self._loader.stream(step)
            yield next(batches)
            step += 1

    def close(self) -> None:
        """Stop working ahead; free decoder and mapped shards."""
        self._loader.close()
