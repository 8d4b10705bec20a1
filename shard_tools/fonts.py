"""Fonts for names in any script, in matplotlib's pictures."""

from __future__ import annotations

import logging
import unicodedata
import warnings
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from functools import lru_cache
from pathlib import Path
from typing import Any

import matplotlib as mpl
from matplotlib import font_manager, ft2font

DEFAULT = "DejaVu Sans"  # comes with matplotlib


@contextmanager
def fonts_for(texts: Iterable[str]) -> Iterator[None]:
    """Draw with fonts that have the characters of these texts, as far as some are installed.

    A dollar sign starts no formula. matplotlib takes each character from the first font of a list
    that has it. A character that no font has becomes an empty box; matplotlib's warning of it is
    kept quiet, since nobody can act on it but by installing a font, and so is its remark on a face
    that has no bold.
    """
    remarks = logging.getLogger("matplotlib.font_manager")
    level = remarks.level
    families = [DEFAULT, *families_for(frozenset("".join(texts)))]
    settings: dict[Any, Any] = {"font.family": families, "text.parse_math": False}
    with mpl.rc_context(settings), warnings.catch_warnings():
        warnings.filterwarnings("ignore", message=r"Glyph \d+ .*missing from font")
        remarks.setLevel(logging.ERROR)
        try:
            yield
        finally:
            remarks.setLevel(level)


@lru_cache(maxsize=8)
def families_for(characters: frozenset[str]) -> tuple[str, ...]:
    """Installed font families that have the characters which the default font lacks.

    The font files themselves are listed: matplotlib's own list may be older than they are.
    """
    shown = {c for c in characters if not unicodedata.category(c).startswith(("C", "Z"))}
    missing = {ord(c) for c in shown} - _characters(font_manager.findfont(DEFAULT))
    chosen: list[str] = []
    for file in sorted(font_manager.findSystemFonts(), key=_order) if missing else []:
        found = missing & _characters(file)
        if found:
            font_manager.fontManager.addfont(file)
            chosen.append(ft2font.FT2Font(file).family_name)
            missing -= found
        if not missing:
            break
    return tuple(chosen)


def _order(file: str) -> tuple[bool, bool, bool, str]:
    """Plain sans-serif faces first, of those the ones that are made to cover all scripts."""
    name = Path(file).stem.lower()
    plain = "regular" in name or "-" not in name
    return (not plain, "notosans" not in name, "sans" not in name, name)


@lru_cache(maxsize=512)
def _characters(file: str) -> frozenset[int]:
    try:
        font = ft2font.FT2Font(file)
    except (OSError, RuntimeError):  # a file that is no font, or of a kind unknown here
        return frozenset()
    placeholder = "last resort" in font.family_name.lower()  # a box for every character
    return frozenset() if placeholder else frozenset(font.get_charmap())
