"""Generated landmark-like photos with a long tail, in the layout of the Kaggle competition.

For the demo and the tests: nothing to download. Each class is one building, drawn from a seed
(kind, proportions, stone); each photo shows it from another place, in other light, before another
sky, behind other trees and people. Several classes share a stone and a kind, so neither the mean
colour nor the outline alone gives the class away.

    python -m shard_tools.demo_photos DEST --classes 20 --largest 90 --smallest 10
    python -m shard_tools.demo_photos DEST --classes 20 --album 6    # further photos, unlabelled
"""

from shard_tools.demo_photos.writing import long_tail, write_album, write_kaggle_dataset

__all__ = ["long_tail", "write_album", "write_kaggle_dataset"]
