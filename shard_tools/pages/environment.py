"""The templates of a page, and what may stand inside its script elements."""

from __future__ import annotations

import json
from typing import Any

from jinja2 import ChoiceLoader, Environment, PackageLoader, StrictUndefined, Template
from markupsafe import Markup
from plotly.offline import get_plotlyjs


def page_template(package: str, name: str) -> Template:
    """A template that may include the shared ``page.css`` and ``page.js``.

    Args:
        package: has it in its folder ``templates``.
        name: of its file.
    """
    environment = Environment(
        loader=ChoiceLoader([PackageLoader(package), PackageLoader("shard_tools.pages")]),
        autoescape=True,
        undefined=StrictUndefined,
    )
    return environment.get_template(name)


def script_data(data: Any) -> Markup:
    """JSON that may stand inside a script element.

    A "<" could end the element early or begin a comment in it. U+2028 and U+2029 end a line in
    older scripts. Halves of surrogate pairs, as in file names that are not UTF-8, become "?".
    """
    text = json.dumps(data, ensure_ascii=False, separators=(",", ":"))
    text = text.encode("utf-8", "replace").decode()
    for character in ("<", "\u2028", "\u2029"):
        text = text.replace(character, f"\\u{ord(character):04x}")
    return Markup(text)


def plotly_script() -> Markup:
    """All of plotly.js, so that a page fetches nothing."""
    return Markup(get_plotlyjs())
