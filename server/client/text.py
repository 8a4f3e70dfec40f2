r"""The text console's dialect: statements with a delimiter out, documents in. Pure.

    ours      <statement>$EOF$\n
    YAML      ---\n...\n                      an answer; ends with the first line that is "..."
              %TAG !push! ...\n--- v\n...\n   a push
    Lua       {1, "a;b"};                     an answer; ends with the first ";" outside of strings
              -- Push\nv;                     a push

Text inside a YAML document is indented or escaped, so a line "..." at the margin is always its end.
Which language an answer has shows in its first bytes: no Lua value begins with "---" or "%TA".
"""

from __future__ import annotations

import re
from collections import deque
from typing import Final

from server.client.message import Message

_YAML_HEADS: Final = (b"---", b"%TA")
_YAML_END: Final = b"\n...\n"
_YAML_PUSH: Final = b"%TAG !push!"
_LUA_PUSH: Final = b"-- Push\n"
_OUTSIDE: Final = re.compile(rb'[";]')
_INSIDE: Final = re.compile(rb'["\\]')


class TextDialect:
    """One console connection; the delimiter is empty until the server has been told another."""

    parallel = False

    def __init__(self) -> None:
        self.delimiter = ""
        self._buffer = bytearray()
        self._scanned = 0
        self._in_string = False
        self._last = 0
        self._waiting: deque[int] = deque()

    def statement(self, text: str) -> tuple[int, bytes]:
        """Ticket and bytes; ValueError when the text would end early."""
        if self.delimiter and re.search(rf"{re.escape(self.delimiter)}[\r\n]", text):
            raise ValueError(f"a statement cannot have {self.delimiter} at the end of a line")
        self._last += 1
        self._waiting.append(self._last)
        data = text.encode("utf-8", "surrogateescape")
        return self._last, data + self.delimiter.encode() + b"\n"

    def feed(self, data: bytes) -> None:
        """Take over what the server has sent."""
        self._buffer += data

    def next(self) -> Message | None:
        """The next whole document."""
        if not self._scanned:
            del self._buffer[: len(self._buffer) - len(self._buffer.lstrip())]
        if any(head.startswith(self._buffer) for head in _YAML_HEADS):
            return None
        is_yaml = self._buffer.startswith(_YAML_HEADS)
        end = self._yaml_end() if is_yaml else self._lua_end()
        if end is None:
            return None
        text = bytes(self._buffer[:end])
        del self._buffer[:end]
        self._scanned = 0
        is_push = text.startswith(_YAML_PUSH if is_yaml else _LUA_PUSH)
        if is_push:
            return Message(self._waiting[0] if self._waiting else 0, text, True)
        return Message(self._waiting.popleft() if self._waiting else 0, text)

    def _yaml_end(self) -> int | None:
        start = max(0, self._scanned - len(_YAML_END))
        found = self._buffer.find(_YAML_END, start)
        self._scanned = len(self._buffer)
        return None if found < 0 else found + len(_YAML_END)

    def _lua_end(self) -> int | None:
        while True:
            pattern = _INSIDE if self._in_string else _OUTSIDE
            found = pattern.search(self._buffer, self._scanned)
            if not found:
                self._scanned = len(self._buffer)
                return None
            if found[0] == b";":
                return found.end()
            if found[0] == b"\\":
                if found.end() == len(self._buffer):
                    self._scanned = found.start()
                    return None
                self._scanned = found.end() + 1
                continue
            self._in_string = not self._in_string
            self._scanned = found.end()
