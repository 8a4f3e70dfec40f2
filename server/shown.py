"""What an error line of the settings shows of a value: as little as finds it.

Passwords end up in the wrong place of a file: under a key that is misspelt, one level too high, in
a listen URI. So maps and lists are named by their kind, and of a text what looks like a URI's user
and password is left out. :mod:`server.settings`, :mod:`server.yamlfile`, :mod:`server.credentials`
and :mod:`server.context` call this. Pure.
"""

from __future__ import annotations

import datetime as dt
from typing import Any, Final

_LONGEST: Final = 200
_LARGEST: Final = 10**40
_KINDS: Final = {
    type(None): "nothing",
    bool: "true or false",
    str: "a text",
    int: "a number",
    float: "a number",
    bytes: "binary data",
    list: "a list",
    tuple: "a list",
    dict: "a map",
    set: "a set",
    dt.date: "a date",
    dt.datetime: "a date",
}
_STRUCTURED: Final = frozenset('{"\n')
"""Characters of a text that is more than one value, such as JSON."""


def kind(value: Any) -> str:
    """What sort of value it is, in place of a value that is not to be shown."""
    return _KINDS.get(type(value), "a value")


def scalar(value: Any) -> str:
    """The value of a key that holds no secrets, when it is a single one; else its kind."""
    if isinstance(value, str) and not _STRUCTURED & set(value):
        text = repr(without_login(value))
        return text if len(text) <= _LONGEST else text[: _LONGEST - 3] + "..."
    if isinstance(value, float) or (isinstance(value, int) and abs(value) < _LARGEST):
        return str(value)
    return kind(value)


def without_login(text: str) -> str:
    """A text that may be a URI, without user, password and parameters."""
    if "@" in text and "?" in text:
        return "***"
    if "@" in text:
        return "***@" + text.rpartition("@")[2]
    address, question, _ = text.partition("?")
    return address + (question and "?***")
