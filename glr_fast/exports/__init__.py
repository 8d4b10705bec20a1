"""A trained model as a folder for others: timm, ONNX Runtime, ``torch.export``, ``load_model``.

``export`` writes one; ``launch/export.py`` and ``launch/compare.py --out`` call it.
"""

from glr_fast.exports.folder import Export, export
from glr_fast.exports.programs import Answers

__all__ = ["Answers", "Export", "export"]
