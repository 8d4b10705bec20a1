"""From listed photos to a finished store: plan, pack, resume, tables.

``build_store`` lists the source, decides the split of every photo (``assign``), plans which photo
goes into which shard (``plan``), packs the shards in parallel, and writes tables and manifest.
Assignment and plan are pure functions of keys, labels, options and seed, and workers only execute
the plan, so the bytes do not depend on their number or on interruptions.
"""

from shard_tools.build.builder import BuildInterruptedError, build_store, preview
from shard_tools.build.options import BuildOptions
from shard_tools.build.tables import Summary

__all__ = ["BuildInterruptedError", "BuildOptions", "Summary", "build_store", "preview"]
