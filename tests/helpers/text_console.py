"""A raw client of the text console: lines out, documents in.

:class:`TextConsole` speaks over the same connection as :class:`tests.helpers.raw.Raw`, but reads
answers: a document that ends with a line of three dots. Documents that declare the handle of pushes
are collected in ``pushes``.
"""

from __future__ import annotations

import time
from typing import Any, Final

import yaml

from tests.helpers.raw import Raw

END: Final = b"\n...\n"
PUSH: Final = b"%TAG !push! "


class TextConsole(Raw):
    """A connection to a console; every wait has the deadline of :class:`Raw`."""

    def document(self) -> bytes:
        """The next document, whichever it is."""
        deadline = time.monotonic() + self.deadline
        while (at := self._buffer.find(END)) < 0:
            self._receive(deadline)
        return self.take(at + len(END))

    def answer(self) -> bytes:
        """The next document that is no push."""
        while (found := self.document()).startswith(PUSH):
            self.pushes.append(found)
        return found

    def say(self, statement: str) -> bytes:
        """The answer of one line, as bytes."""
        self.pushes: list[bytes] = []
        self.send(statement.encode() + b"\n")
        return self.answer()

    def values(self, statement: str) -> Any:
        """The answer of one line, as the list of its results."""
        return yaml.safe_load(self.say(statement)) or []
