"""Photos that show the same picture, and what a build does about them.

Every photo gets a fingerprint (``scan``), duplicates are found among those (``grouping``, over the
close pairs of ``neighbours``), and the mode decides whether a group stays in one split or only its
best photo is kept (``policy``).
"""

from shard_tools.duplicates.policy import DUPLICATE_MODES, deduplicated

__all__ = ["DUPLICATE_MODES", "deduplicated"]
