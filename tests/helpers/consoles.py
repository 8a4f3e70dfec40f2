"""Console sessions of an engine that runs inside the test process.

:func:`open_console` makes one as the acceptor does for a console listener; what is sent to it are
lines, what comes back is read as bytes.
"""

from __future__ import annotations

import socket

from shm.states import SessionType
from tests.helpers.engine import Client, Engine


class Console(Client):
    """The client's end of a console session."""

    def say(self, text: str | bytes) -> bytes:
        """Send, run and read: everything that came since the last time."""
        self.send(text.encode() if isinstance(text, str) else text)
        return self.came()

    def came(self) -> bytes:
        """Run and read, without sending anything."""
        self.read()
        text = bytes(self.buffer)
        self.buffer.clear()
        return text

    def finish(self) -> None:
        """End this direction only."""
        self.socket.shutdown(socket.SHUT_WR)


def open_console(
    engine: Engine, peer: bytes = b"127.0.0.1:4001", *, buffer: int = 0, greet: bool = True
) -> Console:
    """A new console session; parameters as for :meth:`Engine.connect`."""
    console = Console(engine, peer, buffer=buffer, greet=greet, kind=SessionType.CONSOLE)
    return engine.closing(console)
