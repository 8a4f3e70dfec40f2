"""Messages of a server as a terminal shows them: nothing that steers it, and colours if wanted.

Pygments is imported with the first colour.
"""

from __future__ import annotations

import re
from typing import Final

_STEERING: Final = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f]")
_MOST_COLOURED: Final = 1 << 16
"""Characters; more takes longer to colour than anybody looks at it."""


def plain(text: bytes) -> str:
    """Text whose control characters are written out."""
    decoded = text.decode("utf-8", "backslashreplace")
    return _STEERING.sub(lambda found: f"\\x{ord(found[0]):02x}", decoded)


def coloured(text: bytes) -> str:
    """The same in colours, unless it is very long."""
    made = plain(text)
    if len(made) > _MOST_COLOURED:
        return made
    from pygments import format as formatted
    from pygments.formatters import TerminalFormatter
    from pygments.lexers import LuaLexer, YamlLexer

    kind = YamlLexer if made.startswith(("---", "%TAG")) else LuaLexer
    tokens = list(kind(stripnl=False, ensurenl=False).get_tokens(made))
    # A lexer that drops or adds something is good for nothing here.
    if "".join(value for _, value in tokens) != made:
        return made
    return formatted(tokens, TerminalFormatter())
