"""Values of options and their types: whether one fits, reading one from text, naming one."""

from __future__ import annotations

from pathlib import Path
from types import NoneType, UnionType
from typing import Any, Literal, Union, get_args, get_origin


def fits(value: object, hint: Any) -> bool:
    """Whether a value is of a field's type: a class, a ``Literal``, or a union of such."""
    if get_origin(hint) is Literal:
        return value in get_args(hint)
    if get_origin(hint) in (Union, UnionType):
        return any(fits(value, part) for part in get_args(hint))
    if isinstance(value, bool):
        return hint is bool
    return isinstance(value, int | float if hint is float else hint)


def read(text: str, hint: Any) -> Any:
    """A value of a field's type, as a user writes it: ``0.1``, ``true``, ``none``, ``resnet50``.

    Raises:
        ValueError: the text is none.
    """
    if get_origin(hint) is Literal:
        value = next((choice for choice in get_args(hint) if str(choice) == text), None)
        if value is None:
            raise ValueError(f"{text!r} is not {describe(hint)}")
        return value
    if get_origin(hint) in (Union, UnionType):
        parts = get_args(hint)
        if NoneType in parts and text.lower() == "none":
            return None
        return read(text, next(part for part in parts if part is not NoneType))
    if hint is bool:
        if text.lower() not in ("true", "false"):
            raise ValueError(f"{text!r} is neither true nor false")
        return text.lower() == "true"
    if hint in (int, float):
        try:
            return hint(text)
        except ValueError:
            raise ValueError(f"{text!r} is not {describe(hint)}") from None
    return Path(text) if hint is Path else text


def number_kind(hint: Any) -> type[int] | type[float] | None:
    """``int`` or ``float`` if a field of this type takes such numbers, else None."""
    kinds = get_args(hint) if get_origin(hint) in (Union, UnionType) else (hint,)
    return next((kind for kind in kinds if kind in (int, float)), None)


def describe(hint: Any) -> str:
    """A type in words: ``a whole number``, ``one of ce, ldam``."""
    if get_origin(hint) is Literal:
        return f"one of {', '.join(map(str, get_args(hint)))}"
    if get_origin(hint) in (Union, UnionType):
        return " or ".join(describe(part) for part in get_args(hint))
    words = {int: "a whole number", float: "a number", bool: "true or false", NoneType: "none"}
    return words.get(hint, "text")
