"""Statements and their answers over one connection, whichever protocol it speaks.

``execute`` waits for the answer of a statement and hands out pushes meanwhile. ``ask`` is for
questions of the client's own: it gives up after a while, and the answer that comes too late is
dropped. ``idle`` is for what comes while nobody waits. An answer that the user did not wait for is
handed out when it comes.
"""

from __future__ import annotations

import contextlib
import enum
import time
from collections.abc import Callable
from typing import Final

from server.client import delimiter, questions
from server.client.failures import ClientError, Late
from server.client.message import Dialect, Message
from server.client.wire import Wire

Show = Callable[[Message], None]

_LEAVE: Final = ("\\q", "\\quit")
_PATIENCE: Final = 1.0
"""Seconds for an answer after which a statement has not ended for the server."""


class _Kind(enum.Enum):
    STATEMENT = enum.auto()
    QUESTION = enum.auto()


def leaves(statement: str) -> bool:
    """Whether a statement only says that the user wants to leave. A binary port would not end."""
    return statement.startswith("\\") and statement.split()[0] in _LEAVE


class Conversation:
    """One session; what was asked and not answered yet is ``_open``."""

    def __init__(self, wire: Wire, dialect: Dialect) -> None:
        self.wire = wire
        self._dialect = dialect
        self._open: dict[int, _Kind] = {}
        self._held: list[Message] = []

    @property
    def busy(self) -> bool:
        """Whether the server cannot take a statement yet."""
        return bool(self._open) and not self._dialect.parallel

    def execute(
        self,
        statement: str,
        show: Show,
        interrupts: int | None = None,
        deadline: float | None = None,
    ) -> Message:
        """The answer; other messages go to ``show``. Interrupted when the user has had enough.

        Late after the deadline, ValueError when the statement cannot be sent.
        """
        self._hand_out(show)
        while self.busy:
            self._pass(self._wait(deadline, interrupts), show)
        ticket = self._send(statement, _Kind.STATEMENT)
        while True:
            message = self._wait(deadline, interrupts)
            if message.ticket == ticket and not message.is_push:
                del self._open[ticket]
                return message
            self._pass(message, show)

    def login(self, ticket: int, data: bytes, deadline: float | None = None) -> None:
        """Send a login and wait until it is taken; Refused when it is not, Late as for others."""
        self.wire.send(data)
        while self._wait(deadline).ticket != ticket:
            pass

    def ask(self, expression: str, patience: float) -> bytes | None:
        """What an expression of :mod:`server.client.questions` gives; None when that fails."""
        deadline = time.monotonic() + patience
        try:
            while self.busy:
                self._pass(self._wait(deadline), self._held.append)
            ticket = self._send(questions.statement(expression), _Kind.QUESTION)
            while True:
                message = self._wait(deadline)
                if message.ticket == ticket and not message.is_push:
                    del self._open[ticket]
                    return questions.answer(message.text)
                self._pass(message, self._held.append)
        except Late:
            return None

    def settle(self, statement: str, patience: float = _PATIENCE) -> None:
        """See to it that statements end as before, after one that may have set how they do.

        A question does that, unless they end with another text now: one of the statement's own,
        if it is to be found at all. ClientError when nothing ends a statement any more.
        """
        if self._dialect.parallel or "delimiter" not in statement:
            return
        self.ask(questions.NOTHING, patience)
        for mark in delimiter.named(statement):
            if not self.busy:
                return
            # The question has not ended; here is the end of its last line, which is a comment.
            self.wire.send(f"--{mark}\n".encode("utf-8", "surrogateescape"))
            self._wait_while_busy(patience)
        self._wait_while_busy(5 * patience)
        if self.busy:
            raise ClientError("statements have another delimiter now, and the client cannot tell")

    def idle(self, show: Show) -> None:
        """Hand out what has come, without waiting; Gone when that is the end."""
        self._hand_out(show)
        self._dialect.feed(self.wire.receive_nowait())
        while (message := self._dialect.next()) is not None:
            self._pass(message, show)

    def _send(self, statement: str, kind: _Kind) -> int:
        ticket, data = self._dialect.statement(statement)
        self._open[ticket] = kind
        self.wire.send(data)
        return ticket

    def _wait_while_busy(self, patience: float) -> None:
        deadline = time.monotonic() + patience
        with contextlib.suppress(Late):
            while self.busy:
                self._pass(self._wait(deadline), self._held.append)

    def _wait(self, deadline: float | None = None, interrupts: int | None = None) -> Message:
        while (message := self._dialect.next()) is None:
            self._dialect.feed(self.wire.receive(deadline, interrupts))
        return message

    def _pass(self, message: Message, show: Show) -> None:
        kind = self._open.get(message.ticket)
        if not message.is_push:
            self._open.pop(message.ticket, None)
        if message.is_push or kind is not _Kind.QUESTION:
            show(message)

    def _hand_out(self, show: Show) -> None:
        held, self._held = self._held, []
        for message in held:
            show(message)
