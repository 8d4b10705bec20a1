"""Photos that show the same picture, and what a build does about them.

Every photo gets a fingerprint (``scan``), close ones are grouped (``grouping``, ``neighbours``),
and the mode decides whether a group stays in one split or only its best photo is kept (``policy``).
"""

from shard_tools.duplicates.policy import DUPLICATE_MODES, deduplicated

__all__ = ["DUPLICATE_MODES", "deduplicated"]
