"""Which names users, roles and functions may have, and how any text gets in and out of the file.

Texts come from clients and may hold bytes that are no UTF-8. Python keeps those as lone
surrogates; the file holds such a text as bytes, so that nothing is lost and nothing is mistaken.
Pure; the other modules of this package call it.
"""

from __future__ import annotations

import unicodedata
from typing import Final

from shm.catalog.errors import RefusedError

MAX_BYTES: Final = 65_000
SHOWN_BYTES: Final = 64
"""What an error shows of a name that is too long."""

_UNPRINTABLE: Final = frozenset({"Cc", "Cn", "Cs", "Zl", "Zp"})
_REPLACEMENT: Final = "\N{REPLACEMENT CHARACTER}"
_ESCAPE: Final = "surrogateescape"


def check(name: str, code: str, kind: str) -> None:
    """RefusedError unless something can be named like this.

    ``code`` and ``kind`` are the error for a long name: ``CREATE_USER`` and ``user``.
    """
    data = name.encode("utf-8", _ESCAPE)
    if len(data) > MAX_BYTES:
        shown = data[:SHOWN_BYTES].decode("utf-8", "ignore")
        raise RefusedError(code, shown, f"{kind} name is too long")
    if not name or not all(map(_printable, name)):
        raise RefusedError("IDENTIFIER", name)


def _printable(character: str) -> bool:
    return unicodedata.category(character) not in _UNPRINTABLE and character != _REPLACEMENT


def to_file(text: str) -> str | bytes:
    """A text as the file holds it."""
    try:
        text.encode()
    except UnicodeEncodeError:
        return text.encode("utf-8", _ESCAPE)
    return text


def from_file(value: str | bytes) -> str:
    """The text that :func:`to_file` was given."""
    return value.decode("utf-8", _ESCAPE) if isinstance(value, bytes) else value


def to_bytes(value: str | bytes | None) -> bytes | None:
    """Bytes that may have come as a text: Lua has one type for both."""
    return value.encode("utf-8", _ESCAPE) if isinstance(value, str) else value
