"""Global average precision (GAP), the metric of the Google Landmark Recognition competitions."""

from __future__ import annotations

import numpy as np
from sklearn.metrics import average_precision_score


def global_average_precision(
    labels: np.ndarray, predicted: np.ndarray, confidence: np.ndarray
) -> float | None:
    """Micro average precision over all predictions, most confident first (GAP@1).

    ``GAP = 1/M * sum_i P(i) rel(i)``: ``P(i)`` is the precision among the first i predictions,
    ``rel(i)`` is 1 where the i-th is right, ``M`` is the number of photos that show a known
    landmark. A photo of no known landmark has no right answer: it lowers the precision of all that
    follow it. As in Perronnin, Liu and Renders, "A Family of Contextual Measures of Similarity
    between Distributions with Application to Image Retrieval" (CVPR 2009), and in Weyand, Araujo,
    Cao and Sim, "Google Landmarks Dataset v2" (CVPR 2020, section 5.2). Equally confident
    predictions count as one step, so their order does not matter.

    Args:
        labels: true labels; negative for a photo of no known landmark. Shape (photos,), int.
        predicted: the label predicted for each. Shape (photos,), int.
        confidence: of the prediction; only the order counts. Shape (photos,), float.

    Returns:
        From 0 to 1; None where no photo shows a known landmark.
    """
    known = int((labels >= 0).sum())
    right = predicted == labels
    if not known or not right.any():
        return 0.0 if known else None
    # scikit-learn divides by the right predictions; GAP by all that could have been right.
    return float(average_precision_score(right, confidence)) * int(right.sum()) / known
