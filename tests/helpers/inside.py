"""The segment of a running server, seen from a test: rows, header, and the table of sessions."""

from __future__ import annotations

from shm.segment import Segment
from shm.sessions import SessionTable
from tests.helpers.closing import Closing
from tests.helpers.server import Server


class Inside(Closing):
    """The segment of a server, seen from here."""

    def __init__(self, server: Server) -> None:
        (path,) = server.segments()
        self.segment = Segment.attach(path.name)
        self.table = SessionTable(self.segment)

    @property
    def acceptor(self) -> int:
        """Its process, 0 while there is none."""
        return int(self.segment.header.acceptor_pid)

    def pid(self, worker: int) -> int:
        """Process of a worker, 0 while there is none."""
        return int(self.segment.rows[worker].pid)

    def exist(self, sessions: list[int]) -> bool:
        """Whether one of them is in the table."""
        return any(self.table.exists(session) for session in sessions)

    def close(self) -> None:
        self.table.close()
        self.segment.close()
