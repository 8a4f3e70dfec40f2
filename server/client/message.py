"""What a server says to a statement, whichever protocol it came by."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol


@dataclass(frozen=True)
class Message:
    """An answer or a push, rendered by the server; ``ticket`` is the statement it belongs to."""

    ticket: int
    text: bytes
    is_push: bool = False


class Dialect(Protocol):
    """How statements and messages become bytes and come from bytes; does no input or output."""

    parallel: bool
    """Whether the server reads the next statement while one runs."""

    def statement(self, text: str) -> tuple[int, bytes]:
        """Ticket and bytes of a statement; ValueError when it cannot be said."""

    def feed(self, data: bytes) -> None:
        """Take over bytes that the server has sent."""

    def next(self) -> Message | None:
        """The next whole message, None when more bytes are needed; Refused when it is a no."""
