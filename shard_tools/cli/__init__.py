from shard_tools.cli.main import main

__all__ = ["main"]
