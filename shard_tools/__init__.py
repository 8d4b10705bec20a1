"""Packs photo collections into WebDataset tar shards with indexes (command: ``glr-shard``).

Runs without torch and without DALI: ``tests/shard_tools/test_imports.py`` proves it.
"""
