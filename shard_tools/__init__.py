"""Packs photo collections into WebDataset tar shards with indexes (command: ``glr-shard``).

Read the folders from the top: ``cli`` calls ``build``, ``verify``, ``report`` and ``fetch``; those
use ``duplicates``, ``sources`` and ``sampling``; everything ends in ``store``, the format on disk.
``make lint`` holds that order. Runs without torch and without DALI, and a test proves it.
"""
