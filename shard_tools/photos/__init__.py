"""One photo: read its header, decode it strictly, resize it, re-encode it if necessary.

Every photo of a store is an upright, baseline, 8-bit JPEG of three components (YCbCr) that a strict
decoder reads without a warning. A photo that already is one keeps its bytes.
"""

from shard_tools.photos.decode import FORMATS, MAX_PIXELS
from shard_tools.photos.jpeg_header import read_header
from shard_tools.photos.prepare import CHECKS, Photo, PhotoOptions, prepare

__all__ = ["CHECKS", "FORMATS", "MAX_PIXELS", "Photo", "PhotoOptions", "prepare", "read_header"]
