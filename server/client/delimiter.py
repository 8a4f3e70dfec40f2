r"""What ends a statement: the mark between client and server, and one that the user asks for. Pure.

    HIDDEN                what the client lets statements of a text console end with
    \set delimiter X      the user's: from here on a statement ends at X at the end of a line
    \set delimiter        no more: it ends where it is complete

The user's mark is the client's affair: the server never hears of it, since it would be in the way
of the hidden one. The editor and the script cut their text here. A line that begins a statement
with a backslash is a statement of its own, and may have the mark directly behind its last word.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Final

HIDDEN: Final = "$EOF$"

_COMMANDS: Final = ("\\set", "\\s")
_NAMES: Final = ("delimiter", "delim", "d")
_STRING: Final = re.compile(r"\"([^\"\\\n]+)\"|'([^'\\\n]+)'|\[\[([^\n]+?)\]\]")


def setting(line: str, mark: str = "") -> str | None:
    """The mark that a line asks for, "" to have none; None when it is another line."""
    words = _bare(line, mark).split()
    if line[:1] != "\\" or len(words) < 2 or words[0] not in _COMMANDS or words[1] not in _NAMES:
        return None
    return words[2] if len(words) > 2 else ""


def sections(text: str, mark: str) -> Iterator[tuple[str | None, str]]:
    """Text cut at the lines that set another mark: mark and text; None and the line for these."""
    lines: list[str] = []
    for line in text.split("\n"):
        asked = setting(line, mark)
        if asked is None:
            lines.append(line)
            continue
        if lines:
            yield mark, "\n".join(lines)
        yield None, _bare(line, mark)
        mark, lines = asked, []
    if lines:
        yield mark, "\n".join(lines)


def split(text: str, mark: str) -> tuple[list[str], str]:
    """Statements that end with a mark, without it, and the start of one that does not end yet."""
    statements, lines = [], list[str]()
    for line in text.split("\n"):
        bare = line.rstrip()
        if line.startswith("\\") and not any(map(str.strip, lines)):
            statements.append(_bare(line, mark))
            lines = []
        elif bare.endswith(mark):
            statements.append("\n".join((*lines, bare.removesuffix(mark))))
            lines = []
        else:
            lines.append(line)
    rest = "\n".join(lines)
    return statements, rest if rest.strip() else ""


def named(statement: str) -> list[str]:
    """What may be the server's mark after a statement that sets one: its texts, last ones first."""
    found = ["".join(groups) for groups in _STRING.findall(statement)]
    return list(dict.fromkeys(reversed(found)))


def _bare(line: str, mark: str) -> str:
    """A command without the mark that ends it; one that stands alone is an argument."""
    bare = line.rstrip()
    rest = bare.removesuffix(mark)
    return bare if rest[-1:].isspace() else rest
