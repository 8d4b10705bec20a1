"""``python -m shard_tools.cli``: the same as ``glr-shard``."""

import sys

from shard_tools.cli.main import main

if __name__ == "__main__":
    sys.exit(main())
