"""Runs pure tasks in parallel: in processes of this machine, or on a Ray cluster."""

from shard_tools.workers.executor import EXECUTORS, Executor
from shard_tools.workers.local import run_tasks

__all__ = ["EXECUTORS", "Executor", "run_tasks"]
