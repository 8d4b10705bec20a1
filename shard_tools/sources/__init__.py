"""Every layout of photos and labels comes out as one ``Records``.

``read_source`` detects the layout and lists photos, labels and classes without unpacking anything;
a ``PhotoReader`` then reads single photos in the workers. One file per layout.
"""

from shard_tools.sources.detect import LAYOUTS, detect_layout, read_source
from shard_tools.sources.layout import Layout, SourceOptions
from shard_tools.sources.readers import PhotoReader
from shard_tools.sources.records import Records
from shard_tools.sources.unlabelled import Unlabelled, files_of, is_container, list_photos

__all__ = [
    "LAYOUTS",
    "Layout",
    "PhotoReader",
    "Records",
    "SourceOptions",
    "Unlabelled",
    "detect_layout",
    "files_of",
    "is_container",
    "list_photos",
    "read_source",
]
