"""Pictures and the page of an evaluation: PNG files, and ``report.html`` by ``page.write_report``.

``page`` is not imported here, so that pictures are drawn without Jinja2 and plotly, too.
"""

from glr_fast.report.curves import learning_curves
from glr_fast.report.pictures import draw_confusion, draw_learning_curves

__all__ = ["draw_confusion", "draw_learning_curves", "learning_curves"]
