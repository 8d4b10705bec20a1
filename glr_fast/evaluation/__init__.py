"""Evaluation: photos through a model into a predictions table, and figures from that table.

``launch/evaluate.py`` runs ``evaluate`` on a finished run; the trainer runs ``predict`` between
epochs. docs/evaluation.md describes files and figures.
"""

from glr_fast.evaluate_options import EvaluateOptions
from glr_fast.evaluation.evaluation import evaluate
from glr_fast.evaluation.predictions import Predictions, check_complete, figures_of, predict

__all__ = [
    "EvaluateOptions",
    "Predictions",
    "check_complete",
    "evaluate",
    "figures_of",
    "predict",
]
