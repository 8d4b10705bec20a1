"""Read-ahead: has the coming shards fetched, or their pages read, before the plan gets there."""

from __future__ import annotations

from glr_fast.data.plan import Plan
from glr_fast.data.shard_reader import ShardReader

#: Batches that photos are looked at ahead of their decoding when the whole split is mixed.
_BATCHES = 4


class ReadAhead:
    """Walks through a plan some way ahead of the decoder.

    With a shuffle window, the next window is asked for while this one is read, shard by shard.
    Without one, each coming photo is.
    """

    def __init__(self, plan: Plan, source: ShardReader) -> None:
        self._plan = plan
        self._reader = source
        self._next = -1
        self._distance = _distance(plan)

    def look(self, step: int, last: int | None) -> None:
        """Ask for what the steps up to some way beyond ``step`` need, where not asked before."""
        horizon = step + self._distance
        if last is not None:
            horizon = min(horizon, last - 1)
        if not step <= self._next <= horizon + 1:
            self._next = step
        for coming in range(self._next, horizon + 1):
            rows = self._plan.rows(coming)
            if self._plan.shuffle_window or self._reader.remote:
                self._reader.expect_shards(rows)
            else:
                self._reader.expect(rows)
        self._next = max(self._next, horizon + 1)


def _distance(plan: Plan) -> int:
    """Steps to look ahead: a window of shards, or a few batches."""
    if not plan.shuffle_window:
        return _BATCHES
    shards = int(plan.samples.shards.max()) + 1
    window = min(plan.shuffle_window, shards) / shards * len(plan.samples)
    return max(_BATCHES, int(window / plan.batch_size))
