"""What a page asks for, taken out of its request one value at a time, each within its bounds."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

from gansmith.errors import Refused

LONGEST = 300
"""Characters of a text, where nothing else is said."""

Asked = Mapping[str, Any]
"""A request: JSON of a page, or of anyone else; nothing in it is believed."""


def text(asked: Asked, name: str, default: str | None = None, most: int = LONGEST) -> str:
    """A text, in one line.

    Raises:
        Refused: where it is missing, no text, or too long.
    """
    value = asked.get(name, default)
    if not isinstance(value, str):
        raise Refused(f"{name}: expected a text")
    if len(value) > most or any(ord(sign) < 32 for sign in value):
        raise Refused(f"{name}: expected a text in one line, of {most} characters at most")
    return value


def whole(asked: Asked, name: str, default: int | None = None, *, least: int = 0, most: int = 2**53) -> int:
    """A whole number.

    Raises:
        Refused: where it is missing, no whole number, or out of bounds.
    """
    value = asked.get(name, default)
    if isinstance(value, float) and value.is_integer():
        value = int(value)
    if not isinstance(value, int) or isinstance(value, bool) or not least <= value <= most:
        raise Refused(f"{name}: expected a whole number from {least:,} to {most:,}")
    return value


def real(asked: Asked, name: str, default: float | None = None, *, least: float, most: float) -> float:
    """A number.

    Raises:
        Refused: where it is missing, no number, or out of bounds.
    """
    value = asked.get(name, default)
    if not isinstance(value, int | float) or isinstance(value, bool) or not math.isfinite(value):
        raise Refused(f"{name}: expected a number")
    if not least <= value <= most:
        raise Refused(f"{name}: expected a number from {least:g} to {most:g}")
    return float(value)


def one_of(asked: Asked, name: str, known: tuple[str, ...], default: str | None = None) -> str:
    """One of some words.

    Raises:
        Refused: where it is none of them.
    """
    value = text(asked, name, default)
    if value not in known:
        raise Refused(f"{name}: expected one of {', '.join(known)}")
    return value


def several(asked: Asked, name: str, most: int, default: list[Any] | None = None) -> list[Any]:
    """A list.

    Raises:
        Refused: where it is missing, no list, or too long.
    """
    value = asked.get(name, default)
    if not isinstance(value, list) or len(value) > most:
        raise Refused(f"{name}: expected a list of {most} at most")
    return list(value)


def part(value: Any, what: str) -> Asked:
    """A request within a request.

    Raises:
        Refused: where it is none.
    """
    if not isinstance(value, Mapping):
        raise Refused(f"{what}: expected names and values")
    return value
