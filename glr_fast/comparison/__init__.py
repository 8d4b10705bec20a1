"""Compares evaluated runs and elects one: ``compare`` reads, measures, decides and exports."""

from glr_fast.comparison.compare import Comparison, Rival, compare
from glr_fast.comparison.evaluations import Evaluation, read_evaluations
from glr_fast.comparison.text import as_dict, as_text

__all__ = ["Comparison", "Evaluation", "Rival", "as_dict", "as_text", "compare", "read_evaluations"]
