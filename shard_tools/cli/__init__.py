"""The command line ``glr-shard``: ``main`` adds the commands, one module each."""

from shard_tools.cli.main import main

__all__ = ["main"]
