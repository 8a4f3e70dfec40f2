"""Characters that stand for others while libyaml lays a text out: see :mod:`workers.rendering`.

Tarantool's newest emitter escapes what libyaml refuses or prints as it is, and prints what libyaml
escapes. Each column of such a sequence is given to libyaml as one character for private use, a
stamp, so that texts are folded where they must be; in the finished text stamps become what they
stand for. No text has characters for private use of its own then: they are escaped, too.
"""

from __future__ import annotations

import re
import unicodedata
from typing import Final

_ASCII: Final = 0xE000
"""The stamp of the ASCII character 0; the others follow."""
NOTHING: Final = "\ue080"
"""Keeps the place of an empty text."""
_FIRST_RAW, _LAST_RAW = 0xE100, 0xF8FF
_STAMP: Final = re.compile("[\ue000-\uf8ff]")
_HEXADECIMAL: Final = {1: "\\x{:02X}", 2: "\\u{:04X}", 4: "\\U{:08X}"}
_NEXT_LINE: Final = "\x85"


def of_ascii(text: str) -> str:
    """Stamps of an ASCII text."""
    return "".join([chr(_ASCII + ord(each)) for each in text])


class Stamps:
    """The stamps of one document."""

    def __init__(self) -> None:
        self._used = False
        # characters printed as they are, and their stamps
        self._raw: dict[str, str] = {}
        self._meaning: dict[str, str] = {NOTHING: ""}

    def nothing(self) -> str:
        """What is printed without a character, but behind a space."""
        self._used = True
        return NOTHING

    def plain(self, text: str) -> str:
        """An ASCII text that libyaml takes for a word."""
        self._used = True
        return of_ascii(text)

    def text(self, data: bytes) -> tuple[str, bool]:
        """A text for libyaml, and whether some of its bytes are escaped."""
        text = data.decode("utf-8", "surrogateescape")
        table: dict[int, str] = {}
        escaped = False
        for each in set(text):
            if each < "\x80" or each == _NEXT_LINE:
                continue
            if unicodedata.category(each)[0] == "C":
                table[ord(each)] = of_ascii(_escape(each))
                escaped = True
            elif each > "\uffff":
                table[ord(each)] = self._stamp(each)
        if table:
            self._used = True
            text = text.translate(table)
        return text, escaped

    def finished(self, text: bytes) -> bytes:
        """The text of libyaml without stamps."""
        if not self._used:
            return text
        return _STAMP.sub(self._meant, text.decode()).encode()

    def _stamp(self, character: str) -> str:
        stamp = self._raw.get(character)
        if stamp is None:
            number = _FIRST_RAW + len(self._raw)
            if number > _LAST_RAW:
                return character
            stamp = self._raw[character] = chr(number)
            self._meaning[stamp] = character
        return stamp

    def _meant(self, found: re.Match[str]) -> str:
        stamp = found[0]
        code = ord(stamp) - _ASCII
        return chr(code) if code < 0x80 else self._meaning[stamp]


def _escape(character: str) -> str:
    code = ord(character)
    if 0xDC80 <= code <= 0xDCFF:
        return _HEXADECIMAL[1].format(code - 0xDC00)
    return _HEXADECIMAL[2 if code <= 0xFFFF else 4].format(code)
