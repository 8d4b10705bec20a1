"""What is wrong with a finished store: every file, every byte, every table against the others."""

from shard_tools.store.problems import Problem
from shard_tools.verify.verifier import verify_store

__all__ = ["Problem", "verify_store"]
