"""From listed photos to a finished store: plan, pack, resume, tables.

``build_store`` lists the source, plans which photo goes where (a pure function of keys, labels,
options and seed), packs the shards in parallel, and writes tables and manifest. Workers only
execute the plan, so the bytes do not depend on their number or on interruptions.
"""

from shard_tools.build.builder import BuildInterruptedError, build_store, preview
from shard_tools.build.options import BuildOptions
from shard_tools.build.tables import Summary

__all__ = ["BuildInterruptedError", "BuildOptions", "Summary", "build_store", "preview"]
