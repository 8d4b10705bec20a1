"""pyarrow's compute functions under a name that type checkers accept, and two helpers."""

from __future__ import annotations

from typing import Any

import pyarrow as pa
import pyarrow.compute

#: ``pyarrow.compute`` makes its functions when it is imported, where no type checker sees them.
pc: Any = pyarrow.compute


def one_array(column: pa.ChunkedArray) -> pa.Array:
    """The column as a single array, as look-ups and workers want it."""
    if column.num_chunks == 1:
        return column.chunk(0)
    return pa.concat_arrays(column.chunks) if column.num_chunks else pa.array([], column.type)


def mask(values: Any) -> pa.Array:
    """A boolean numpy array or arrow column as an array to filter by."""
    return pa.array(values, pa.bool_())
