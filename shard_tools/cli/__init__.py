"""The command line ``glr-shard``: ``main`` adds the commands, one module each."""

import sys

try:
    from shard_tools.cli.main import main
except KeyboardInterrupt:  # Ctrl-C while the libraries are loaded, the first half second
    print("glr-shard: interrupted", file=sys.stderr)
    sys.exit(130)

__all__ = ["main"]
