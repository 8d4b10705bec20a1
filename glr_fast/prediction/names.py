"""Names of folders and files that every system takes, from names in any script."""

from __future__ import annotations

import re
import unicodedata

_FORBIDDEN = re.compile(r'[\x00-\x1f\x7f-\x9f/\\:*?"<>|\u200e\u200f\u202a-\u202e\u2066-\u2069]')
_RESERVED = re.compile(r"(?i)^(con|prn|aux|nul|com[0-9]|lpt[0-9])(\.|$)")
_LONGEST = 120
"""Bytes in UTF-8; a name may have 255, and some is left for a number."""


def safe_name(name: str) -> str:
    """The name of a file without characters that some system forbids, and not too long.

    Its suffix stays; where nothing is left of the rest, it is called ``photo``.
    """
    stem, dot, suffix = name.rpartition(".")
    if not stem or len(suffix.encode("utf-8", "replace")) > 10:
        stem, dot, suffix = name, "", ""
    suffix = _clean(dot + suffix, _LONGEST)
    stem = _clean(stem, _LONGEST - len(suffix.encode()))
    return _unreserved((stem if stem.strip("_") else "photo") + suffix)


def folder_name(name: str, landmark_id: str) -> str:
    """The folder of a landmark: its name, where it has one, and its id."""
    if name == landmark_id:
        made = _clean(landmark_id, _LONGEST)
    else:  # where both are too long, it is the name that is cut: ids differ
        known = _clean(landmark_id, _LONGEST // 2)
        made = f"{_clean(name, _LONGEST - len(known.encode()) - 3)} ({known})".strip()
    return _unreserved(made if made.strip("_") else "landmark")


def _clean(text: str, longest: int) -> str:
    """A text without forbidden characters, in at most some bytes."""
    text = unicodedata.normalize("NFC", text.encode("utf-8", "replace").decode())
    text = _FORBIDDEN.sub("_", text).encode()[:longest].decode("utf-8", "ignore")
    return text.strip(" ").rstrip(". ")


def _unreserved(name: str) -> str:
    """A name that is not hidden, and that no system keeps for itself."""
    name = name.lstrip(". ") or "photo"
    return f"_{name}" if _RESERVED.match(name) else name


def numbered(name: str, number: int) -> str:
    """The n-th name to try, from 1 on: ``a.jpg``, ``a (2).jpg``, ``a (3).jpg``, ..."""
    if number == 1:
        return name
    stem, dot, suffix = name.rpartition(".")
    return f"{stem} ({number}).{suffix}" if dot and stem else f"{name} ({number})"
