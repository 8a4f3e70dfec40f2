"""What is wrong with a JSON text, in Tarantool's words.

:mod:`workers.texts` asks when Python's reader has refused a text. The text is read once more, token
by token, up to the first one that may not stand where it stands.

    '[1 2]' -> 1st token '[', '1', then '2' where a comma or the end of the array is expected
"""

from __future__ import annotations

import re
from typing import Final, NamedTuple

_BLANK: Final = re.compile(rb"[ \t\r\n]*")
_NUMBER: Final = re.compile(
    rb"-?(?:(?P<float>inf|nan)|(?:0(?![0-9xX])|[1-9][0-9]*)"
    rb"(?P<fraction>\.[0-9]*)?(?P<power>[eE][+-]?[0-9]+)?)"
)
_WORD: Final = re.compile(rb"true|false|null")
_SIGNS: Final = {
    b"{": "T_OBJ_BEGIN",
    b"}": "T_OBJ_END",
    b"[": "T_ARR_BEGIN",
    b"]": "T_ARR_END",
    b":": "T_COLON",
    b",": "T_COMMA",
}
_END: Final = "T_END"
_UNKNOWN: Final = "invalid token"
_PLAIN: Final = re.compile(rb'[^"\\]*')
_ESCAPE: Final = re.compile(rb'\\["\\/bfnrt]')
_UNICODE: Final = re.compile(
    rb"\\u(?:[dD][89abAB][0-9a-fA-F]{2}\\u[dD][c-fC-F][0-9a-fA-F]{2}"
    rb"|[0-9abcefABCEF][0-9a-fA-F]{3}|[dD][0-7][0-9a-fA-F]{2})"
)
_VALUES: Final = frozenset({"T_STRING", "T_INT", "T_NUMBER", "T_BOOLEAN", "T_NULL"})


class _Token(NamedTuple):
    kind: str
    start: int
    end: int
    fault: bool = False


def _string(text: bytes, start: int) -> _Token:
    """The string that begins at a quote."""
    at = start + 1
    while True:
        plain = _PLAIN.match(text, at)
        at = plain.end() if plain else at
        if at == len(text):
            return _Token("unexpected end of string", at, at, fault=True)
        if text[at : at + 1] == b'"':
            return _Token("T_STRING", start, at + 1)
        unicode = text[at + 1 : at + 2] == b"u"
        escape = (_UNICODE if unicode else _ESCAPE).match(text, at)
        if escape is None:
            kind = "invalid unicode escape code" if unicode else "invalid escape code"
            return _Token(kind, at, at, fault=True)
        at = escape.end()


def _next(text: bytes, at: int) -> _Token:
    blank = _BLANK.match(text, at)
    start = blank.end() if blank else at
    if start == len(text):
        return _Token(_END, start, start)
    first = text[start : start + 1]
    if first in _SIGNS:
        return _Token(_SIGNS[first], start, start + 1)
    if first == b'"':
        return _string(text, start)
    if number := _NUMBER.match(text, start):
        whole = number["float"] is number["fraction"] is number["power"] is None
        return _Token("T_INT" if whole else "T_NUMBER", start, number.end())
    if word := _WORD.match(text, start):
        return _Token("T_NULL" if word[0] == b"null" else "T_BOOLEAN", start, word.end())
    return _Token(_UNKNOWN, start, start, fault=True)


def _place(text: bytes, at: int) -> str:
    line = text.count(b"\n", 0, at) + 1
    column = at - text.rfind(b"\n", 0, at)
    return f"on line {line} at character {column}"


# What may come next, and what then may; a value inside of a container is what its name says.
_VALUE, _KEY, _COLON, _AFTER = "value", "object key string", "colon", "after"


def _expected(state: str, inside: str) -> str:
    """What the text of an error says was expected."""
    if state != _AFTER:
        return state
    return {"{": "comma or object end", "[": "comma or array end", "": "the end"}[inside]


def _step(state: str, first: bool, inside: str, kind: str) -> str | None:
    """The state behind a token that opens nothing; None when the token may not stand there."""
    if state == _VALUE:
        closes = first and inside == "[" and kind == "T_ARR_END"
        return _AFTER if kind in _VALUES or closes else None
    if state == _KEY:
        if first and kind == "T_OBJ_END":
            return _AFTER
        return _COLON if kind == "T_STRING" else None
    if state == _COLON:
        return _VALUE if kind == "T_COLON" else None
    if inside == "{":
        return {"T_COMMA": _KEY, "T_OBJ_END": _AFTER}.get(kind)
    if inside == "[":
        return {"T_COMMA": _VALUE, "T_ARR_END": _AFTER}.get(kind)
    return None


def fault(text: bytes, max_depth: int) -> str | None:
    """What is wrong and where; None when nothing is, by these rules."""
    opened: list[str] = []
    state, first, at = _VALUE, False, 0
    while True:
        token = _next(text, at)
        inside = opened[-1] if opened else ""
        if state == _AFTER and not inside and token.kind == _END:
            return None
        if state == _VALUE and token.kind in {"T_OBJ_BEGIN", "T_ARR_BEGIN"}:
            if len(opened) == max_depth:
                where = _place(text, token.start)
                return f"Found too many nested data structures ({max_depth + 1}) {where}"
            opened.append("{" if token.kind == "T_OBJ_BEGIN" else "[")
            state, first, at = (_KEY if opened[-1] == "{" else _VALUE), True, token.end
            continue
        following = None if token.fault else _step(state, first, inside, token.kind)
        if following is None:
            what = _expected(state, inside)
            return f"Expected {what} but found {token.kind} {_place(text, token.start)}"
        if token.kind in {"T_OBJ_END", "T_ARR_END"}:
            opened.pop()
        state, first, at = following, False, token.end
