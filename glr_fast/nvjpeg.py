"""Which nvJPEG a process uses: the one installed with DALI, not an older one of somebody else.

DALI's decoders ask the system for ``libnvjpeg.so.13`` by that name, and get the library of that
name that was loaded first. Torchvision brings one along (nvJPEG 13.1 in 0.29; its file has another
name, the library in it has not), timm imports torchvision, and a CUDA toolkit in
``/usr/local/cuda/lib64`` has one too. nvJPEG before 13.2 cannot decode a region with interpolated
chroma: nvImageCodec's GPU decoders and the JPEG engines then refuse every photo, with a warning for
each, and what is left is a decoder on the CPU. So ``import glr_fast`` loads the one that belongs to
DALI, before anything else (some 10 ms).
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
    try:
        import nvidia
    except ImportError:
        return None
    folders = [Path(place) for place in getattr(nvidia, "__path__", ())]
    # nvidia/cu13/lib/libnvjpeg.so.13, or nvidia/nvjpeg/lib/libnvjpeg.so.12 of older packages.
    found = sorted(path for folder in folders for path in folder.glob("*/lib/libnvjpeg.so.*"))
    if not found:
        return None
    try:
        ctypes.CDLL(str(found[-1]), mode=ctypes.RTLD_GLOBAL)
    except OSError as error:
        logger.debug("%s: cannot be loaded: %s", found[-1], error)  # matters on a GPU alone
        return None
    return found[-1]


def other_nvjpeg() -> str | None:
    """What is used instead of the packaged nvJPEG because it was loaded before; None if nothing.

    Returns:
        Its version and the files that it may come from, in words.
    """
    packaged = load_packaged_nvjpeg()
    if packaged is None:
        return None
    used = ctypes.CDLL(packaged.name)  # found by its name, as DALI finds it
    if used._handle == ctypes.CDLL(str(packaged))._handle:
        return None
    loaded = loaded_nvjpeg(_MAPS.read_text().splitlines() if _MAPS.exists() else ())
    files = ", ".join(str(path) for path in loaded if path != packaged)
    return f"nvJPEG {_version(used)} ({files or 'of an unknown file'})"


@functools.cache
def warn_of_other_nvjpeg() -> None:
    """Say once that another nvJPEG than the packaged one is used, and what to do about it."""
    other = other_nvjpeg()
    if other:
        logger.warning(
            "%s was loaded before %s and is used: decoding on the GPU may be slow; "
            "import glr_fast before torchvision and timm",
            other,
            load_packaged_nvjpeg(),
        )


def loaded_nvjpeg(maps: Iterable[str]) -> list[Path]:
    """The nvJPEG libraries among the lines of ``/proc/self/maps``, each once.

    Torchvision's has a name of its own, such as ``libnvjpeg.4a0b5c81.so.13``.
    """
    paths = (line.split(maxsplit=5)[-1].strip() for line in maps if "/libnvjpeg." in line)
    return list(dict.fromkeys(map(Path, paths)))


def _version(library: ctypes.CDLL) -> str:
    """Major, minor and patch level as the library itself says them (``nvjpegGetProperty``)."""
    numbers = [ctypes.c_int() for _ in range(3)]
    for kind, number in enumerate(numbers):
        library.nvjpegGetProperty(kind, ctypes.byref(number))
    return ".".join(str(number.value) for number in numbers)
