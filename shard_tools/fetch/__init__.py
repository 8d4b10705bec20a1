"""Downloads Google Landmarks v2: label files and tars, checked against the published MD5 sums."""

from shard_tools.fetch.gldv2 import FetchOptions, fetch, parse_shards

__all__ = ["FetchOptions", "fetch", "parse_shards"]
