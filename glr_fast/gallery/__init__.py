"""A page that shows a photo collection by landmark: opens from disk, fetches nothing.

:class:`Gallery` takes photos as they are recognised and writes the page at the end. It needs Jinja2
(``pip install 'glr-fast[eda]'``).
"""

from glr_fast.gallery.collection import Gallery, Shown, check_gallery
from glr_fast.gallery.page import Facts

__all__ = ["Facts", "Gallery", "Shown", "check_gallery"]
