"""Folders that are named by when or with what photos were taken, and not by what is on them."""

from __future__ import annotations

import re
from collections.abc import Sequence

_MONTHS = (
    "jan(?:uary)?|feb(?:ruary)?|mar(?:ch)?|apr(?:il)?|may|june?|july?|aug(?:ust)?|"
    "sept?(?:ember)?|oct(?:ober)?|nov(?:ember)?|dec(?:ember)?"
)
_YEAR = r"(?:19|20)\d\d"
_DAY = r"(?:0?[1-9]|[12]\d|3[01])"
_MONTH = r"(?:0[1-9]|1[0-2])"
_SEPARATOR = r"[-_. ]"
_ALBUM = re.compile(
    rf"""
    {_YEAR}{_SEPARATOR}{_MONTH}(?!\d).*                       # 2019-07 Rome, 2021_08_14
    | {_YEAR}{_MONTH}{_DAY}(?!\d).*                           # 20210814
    | {_DAY}[-_.]{_MONTH}[-_.](?:{_YEAR}|\d\d)(?!\d).*        # 14.08.2021
    | (?:{_MONTHS}){_SEPARATOR}*{_YEAR}                       # August 2021
    | {_YEAR}{_SEPARATOR}*(?:{_MONTHS})                       # 2021 Aug
    | (?:{_MONTHS})                                           # June
    | dcim | camera(?:[ ]roll)? | screenshots? | whatsapp[ ].* | img_?\d* | new[ ]folder.*
    | \d{{3}}(?:canon|nikon|_pana|_fuji|apple|msdcf|olymp|gopro|media|\w?cimg)\w*
    | (?:holidays?|vacation|urlaub|trip|party|wedding|birthday|christmas|easter)
      {_SEPARATOR}*(?:{_YEAR})?
    """,
    re.VERBOSE | re.IGNORECASE,
)


def album_names(names: Sequence[str]) -> list[str]:
    """Those of some class names that are dates, cameras or occasions; empty unless most are.

    A year alone, or behind a name, is none: ``Expo 67``, ``1984``, ids of Google Landmarks.

    Args:
        names: of the classes.
    """
    found = [name for name in names if _ALBUM.fullmatch(name.strip())]
    return found if len(names) > 1 and 2 * len(found) > len(names) else []
