"""What clients say of themselves, made harmless for a terminal, and how wide it is there. Pure.

Names, attributes and paths of sockets are shown by ``server.cli`` and ``server.top``.
"""

from __future__ import annotations

import unicodedata
from typing import Final

_WIDE: Final = frozenset("WF")
_ON_TOP: Final = frozenset({"Mn", "Me"})
"""Categories of marks that are written over the character before them."""


def clean(text: str) -> str:
    """Text without anything that steers a terminal or breaks a line."""
    return "".join(
        each
        if each.isprintable()
        else each.encode("unicode_escape", "surrogatepass").decode("ascii")
        for each in text
    )


def width(text: str) -> int:
    """How many cells of a terminal a text takes."""
    if text.isascii():
        return len(text)
    return sum(map(_cells, text))


def padded(text: str, cells: int, *, right: bool) -> str:
    """The text in so many cells, at their right end or at their left."""
    filling = " " * (cells - width(text))
    return filling + text if right else text + filling


def _cells(character: str) -> int:
    if unicodedata.category(character) in _ON_TOP:
        return 0
    return 2 if unicodedata.east_asian_width(character) in _WIDE else 1
