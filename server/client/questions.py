"""What the client itself wants to know from the server, as statements. Pure.

A question is a Lua expression with a string as its value. It is sent as a one-line statement that
answers with that string in hexadecimal digits after "hex_", which reads the same in every output
format, is never quoted and never folded. Works on Tarantool as well. An answer of any other form
(the language is SQL, the user has taken ``string.format`` away) is no answer.

Each question also sets the client's delimiter again. It ends in a comment, so that it is one
statement when Lua code of the user has set none: the delimiter behind it is part of the comment.
"""

from __future__ import annotations

import re
from typing import Final

from server.client import delimiter

NOTHING: Final = "''"
"""Asks only whether the server answers."""

_HEX: Final = re.compile(rb"\bhex_((?:[0-9a-f]{2})*)\b")
_PLAIN: Final = frozenset(range(0x20, 0x7F)) - frozenset(b'"\\')

# A chunk goes on while neither of its two readings compiles and the second one ends too early.
_SPLIT: Final = (
    "(function(text) local ends, first = {}, 1 "
    "for stop in (text .. '\\n'):gmatch('()\\n') do "
    "local chunk = text:sub(first, stop - 1) "
    "local whole = chunk:sub(1, 1) == '\\\\' or loadstring('return ' .. chunk) "
    "if not whole then local f, e = loadstring(chunk) "
    "whole = f or e:sub(-13) ~= \" near '<eof>'\" end "
    "if whole then ends[#ends + 1] = stop - 1 first = stop + 1 end end "
    "return table.concat(ends, ' ') end)(%s)"
)
_COMPLETE: Final = (
    "table.concat(require('console').completion_handler(%s, 0, %d) or {}, string.char(10))"
)
_WRAP: Final = (
    f"(function() pcall(function() require('console').delimiter('{delimiter.HIDDEN}') end) "
    "local ok, s = pcall(function() return %s end) "
    "return ok and 'hex_' .. s:gsub('.', function(c) return ('%%02x'):format(c:byte()) end) "
    "end)()--"
)


def statement(expression: str) -> str:
    """The statement that answers with the expression's value."""
    return _WRAP % expression


def answer(text: bytes) -> bytes | None:
    """The value in the answer to :func:`statement`; None when there is none."""
    found = _HEX.search(text)
    return bytes.fromhex(found[1].decode()) if found else None


def ends_of_statements(text: str) -> str:
    """Asks where the statements in some lines end, in bytes; what is behind the last is a start."""
    return _SPLIT % quoted(text)


def completions(word: str) -> str:
    """Asks how a word may go on: a line for the longest common start, then one for each match."""
    return _COMPLETE % (quoted(word), len(word.encode("utf-8", "surrogateescape")))


def quoted(text: str) -> str:
    """A Lua string literal on one line."""
    data = text.encode("utf-8", "surrogateescape")
    return '"' + "".join(chr(c) if c in _PLAIN else f"\\{c:03d}" for c in data) + '"'
