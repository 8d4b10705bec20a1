"""Which nvJPEG a process uses: the one installed with DALI, not an older one of a CUDA toolkit.

DALI 2.4 looks for ``libnvjpeg.so.13`` in ``/usr/local/cuda/lib64`` before it looks among its own
packages. nvJPEG before 13.2 cannot decode a region with interpolated chroma: its decoders in
nvImageCodec then refuse, with a warning for each photo (seen on an H200 with toolkit 13.0). A
library that is loaded already is taken wherever it lies, so it is loaded here, before DALI is.
"""

from __future__ import annotations

import ctypes
import functools
import logging
from collections.abc import Iterable
from pathlib import Path

logger = logging.getLogger(__name__)

_MAPS = Path("/proc/self/maps")


@functools.cache
def load_packaged_nvjpeg() -> Path | None:
    """Load the nvJPEG among Python's packages, for all libraries that are loaded later.

    Returns:
        The library; None where there is none, or where it cannot be loaded (DALI says why).
    """
    import nvidia

    folders = [Path(place) for place in nvidia.__path__]
    # nvidia/cu13/lib/libnvjpeg.so.13, or nvidia/nvjpeg/lib/libnvjpeg.so.12 of older packages.
    found = sorted(path for folder in folders for path in folder.glob("*/lib/libnvjpeg.so.*"))
    if not found:
        return None
    try:
        ctypes.CDLL(str(found[-1]), mode=ctypes.RTLD_GLOBAL)
    except OSError as error:
        logger.warning("%s: cannot be loaded: %s", found[-1], error)
        return None
    first = loaded_nvjpeg(_MAPS.read_text().splitlines() if _MAPS.exists() else ())
    if first and not any(path.samefile(found[-1]) for path in first):
        logger.warning("%s was loaded before %s, and is used", first[0], found[-1])
    return found[-1]


def loaded_nvjpeg(maps: Iterable[str]) -> list[Path]:
    """The nvJPEG libraries among the lines of ``/proc/self/maps``, each once.

    Torchvision's own copy has another name (``libnvjpeg.HASH.so``) and does not count.
    """
    paths = (line.split(maxsplit=5)[-1].strip() for line in maps if "/libnvjpeg.so." in line)
    return list(dict.fromkeys(map(Path, paths)))
