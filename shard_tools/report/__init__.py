"""Counts, figures and charts of a store, a source or a table of counts.

``collect`` gives the figures of ``glr-shard stats``, ``write_report`` the page of
``glr-shard eda``.
"""

from shard_tools.report.stats import collect
from shard_tools.report.write import write_report

__all__ = ["collect", "write_report"]
