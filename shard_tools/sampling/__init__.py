"""Which photos an epoch draws, and in which order: policies, epoch orders, index files.

Pure numpy. The training loader and ``glr-shard index`` call the same functions, so they agree.
"""

from shard_tools.sampling.index_files import IndexOptions, write_index
from shard_tools.sampling.orders import Stream, epoch_order, stream_key, windowed
from shard_tools.sampling.policies import POLICIES, parse_policy, policy_at

__all__ = [
    "POLICIES",
    "IndexOptions",
    "Stream",
    "epoch_order",
    "parse_policy",
    "policy_at",
    "stream_key",
    "windowed",
    "write_index",
]
