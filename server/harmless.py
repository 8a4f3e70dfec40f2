"""What clients say of themselves, made harmless for a terminal. Pure.

Names, attributes and paths of sockets are shown by ``server.cli`` and ``server.top``.
"""

from __future__ import annotations


def clean(text: str) -> str:
    """Text without anything that steers a terminal or breaks a line."""
    return "".join(
        each
        if each.isprintable()
        else each.encode("unicode_escape", "surrogatepass").decode("ascii")
        for each in text
    )
