"""Requests at a steady pace, and how long each took: what a client notices of what else goes on.

Called by ``bench.console`` and ``bench.suite.mixed``. A request is sent when it is due, whether or
not those before it are answered, and its time counts from when it was due: a server that stands
still for a while delays all that are due meanwhile, and a client that waits for each answer would
notice only one of them.
"""

from __future__ import annotations

import math
import select
import time
from collections import deque
from typing import Final

from bench import packets
from bench.packets import AnswerError
from bench.session import Session

PERIOD: Final = 0.001
"""Seconds between two requests."""
PATIENCE: Final = 60.0
"""Seconds without any answer until the server counts as stuck."""

_CHUNK: Final = 65_536


class Probe:
    """PING over one session; ``delays`` are the microseconds of those that were answered."""

    def __init__(self, session: Session) -> None:
        self._session = session
        self._waiting: deque[tuple[int, float]] = deque()
        self._unread = bytearray()
        self._unsent = bytearray()
        self._sync = 0
        self._heard = 0.0
        self.delays: list[float] = []

    def run(self, seconds: float | None = None, until: int | None = None) -> None:
        """Ask for so many seconds, or until a descriptor is readable, and for all answers."""
        self._heard = begun = time.monotonic()
        most = math.inf if seconds is None else round(seconds / PERIOD)
        while self._sync < most and not _is_readable(until):
            now = time.monotonic()
            while self._sync < most and (due := begun + self._sync * PERIOD) <= now:
                self._ask(due)
            self._turn(begun + self._sync * PERIOD - time.monotonic(), until)
        while self._waiting:
            self._turn(1.0, None)

    def _ask(self, due: float) -> None:
        self._sync += 1
        self._waiting.append((self._sync, due))
        self._unsent += packets.request(packets.TYPE_PING, self._sync, {})

    def _turn(self, seconds: float, until: int | None) -> None:
        """Send what is due, wait at most so long, take what has come."""
        end = self._session.socket
        if self._unsent:
            del self._unsent[: self._send()]
        readers = [end.fileno()] if until is None else [end.fileno(), until]
        ready, _, _ = select.select(
            readers, readers[:1] if self._unsent else [], [], max(0.0, seconds)
        )
        if end.fileno() in ready:
            self._take()
        elif self._waiting and time.monotonic() - self._heard > PATIENCE:
            raise AnswerError(f"no answer within {PATIENCE:g} seconds")

    def _send(self) -> int:
        try:
            return self._session.socket.send(self._unsent)
        except BlockingIOError:
            return 0

    def _take(self) -> None:
        data = self._session.socket.recv(_CHUNK)
        if not data:
            raise AnswerError("the server closed the connection")
        self._heard = now = time.monotonic()
        self._unread += data
        while (size := packets.answer_size(self._unread)) is not None and size <= len(self._unread):
            answer = packets.decode(bytes(self._unread[:size]))
            del self._unread[:size]
            answer.data()
            sync, due = self._waiting.popleft() if self._waiting else (0, now)
            if answer.sync != sync:
                raise AnswerError(f"an answer has sync {answer.sync}, expected {sync}")
            self.delays.append((now - due) * 1e6)


def _is_readable(descriptor: int | None) -> bool:
    return descriptor is not None and bool(select.select([descriptor], [], [], 0)[0])
