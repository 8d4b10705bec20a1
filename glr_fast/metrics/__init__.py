"""Figures of a predictions table: accuracy, ranking, calibration, and how sure each of them is.

All are functions of arrays on one process. Macro figures are means over the classes that have at
least one photo in what is evaluated: at 81,313 classes a test split misses many. Nothing here is
of size classes x classes. docs/evaluation.md describes every figure.
"""

from glr_fast.metrics.accuracy import (
    BAND_TEXT,
    BANDS,
    by_frequency,
    confused_pairs,
    per_class,
    summarise,
)
from glr_fast.metrics.bootstrap import Photos, intervals
from glr_fast.metrics.calibration import (
    expected_calibration_error,
    reliability,
    thresholds,
    too_few,
)
from glr_fast.metrics.ranking import global_average_precision
from glr_fast.metrics.text import as_table, percent

__all__ = [
    "BANDS",
    "BAND_TEXT",
    "Photos",
    "as_table",
    "by_frequency",
    "confused_pairs",
    "expected_calibration_error",
    "global_average_precision",
    "intervals",
    "per_class",
    "percent",
    "reliability",
    "summarise",
    "thresholds",
    "too_few",
]
