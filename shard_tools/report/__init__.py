"""Counts, figures and charts of a store, a source or a table of counts.

``collect`` computes what ``glr-shard stats`` prints; ``write_report`` writes the page of
``glr-shard eda``.
"""

from shard_tools.report.stats import collect
from shard_tools.report.write import write_report

__all__ = ["collect", "write_report"]
