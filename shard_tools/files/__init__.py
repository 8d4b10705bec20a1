"""Folders and URLs alike, files that appear whole or not at all, and read-ahead hints."""

from shard_tools.files.atomic import atomic_open, sha256_file, write_text
from shard_tools.files.remote import is_remote, location

__all__ = ["atomic_open", "is_remote", "location", "sha256_file", "write_text"]
