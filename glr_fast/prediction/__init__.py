"""Photos in, landmarks out: :func:`predict` recognises files, folders, zips, tars and stores.

    from glr_fast.prediction import PredictOptions, predict

    outcome = predict("runs/a", "holiday", PredictOptions(gallery=Path("holiday-by-landmark")))
    outcome.answers  # a pyarrow table: path, name, probability, the five best, ...

:func:`answers` gives them batch by batch instead, as numpy arrays.
"""

from glr_fast.predict_options import PredictOptions
from glr_fast.prediction.answers import Answers, answers
from glr_fast.prediction.listing import Listed, Rejected, list_arguments
from glr_fast.prediction.run import Outcome, check_places, predict, predict_listed
from glr_fast.prediction.thresholds import Threshold, choose_threshold

__all__ = [
    "Answers",
    "Listed",
    "Outcome",
    "PredictOptions",
    "Rejected",
    "Threshold",
    "answers",
    "check_places",
    "choose_threshold",
    "list_arguments",
    "predict",
    "predict_listed",
]
