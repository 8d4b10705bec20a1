"""Every test of ``fetch`` may use the server of downloads."""

from tests.helpers.download_server import server

__all__ = ["server"]
