"""The command lines, one module a command: ``glr-train`` is ``glr_fast.commands.train:main``.

A module parses its flags before it imports torch, so that a mistyped one is answered at once. The
scripts in ``launch/`` call the same functions, for ``accelerate launch`` from a clone.
"""

import sys

from glr_fast.missing import advice

try:
    import tyro as _tyro  # noqa: F401 (every command needs it: without it there is no parser)
except ModuleNotFoundError as _error:
    print(f"error: {advice(_error)}", file=sys.stderr)
    sys.exit(2)
