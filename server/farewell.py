"""Connections that were told no and are about to end. Part of the acceptor process.

A socket closed with unread data in it is reset, and the reset destroys what its client has not
read yet. So a refused client is sent its answer, our side is shut down, and what the client still
sends is read and dropped until it closes or :data:`LINGER` is over. At most :data:`MOST` linger:
then the oldest ends early.
"""

from __future__ import annotations

import os
import selectors
import socket
from collections import OrderedDict
from typing import Final

LINGER: Final = 2.0
"""Longest time a refused connection is kept, seconds."""
MOST: Final = 256
_CHUNK: Final = 65536


class Farewells:
    """The lingering connections, oldest first."""

    def __init__(self, selector: selectors.BaseSelector, most: int = MOST) -> None:
        self._selector = selector
        self._most = most
        self._lingering: OrderedDict[socket.socket, float] = OrderedDict()

    def say(self, fd: int, answer: bytes, now: float) -> None:
        """Send the answer, then linger. Takes the descriptor over."""
        try:
            end = socket.socket(fileno=fd)
        except OSError:
            # A worker may offer what is no socket at all.
            os.close(fd)
            return
        end.setblocking(False)
        try:
            end.send(answer)
            end.shutdown(socket.SHUT_WR)
        except OSError:
            end.close()
            return
        if len(self._lingering) >= self._most:
            self.shed()
        self._lingering[end] = now + LINGER
        self._selector.register(end, selectors.EVENT_READ, lambda: self._drain(end))

    def deadline(self) -> float | None:
        """When the oldest has to end."""
        return next(iter(self._lingering.values()), None)

    def expire(self, now: float) -> None:
        """End those whose time is over."""
        while self._lingering and next(iter(self._lingering.values())) <= now:
            self._end(next(iter(self._lingering)))

    def shed(self) -> bool:
        """End the oldest, whose descriptor is needed; False when there is none."""
        if not self._lingering:
            return False
        self._end(next(iter(self._lingering)))
        return True

    def close(self) -> None:
        """End all."""
        for end in list(self._lingering):
            self._end(end)

    def _drain(self, end: socket.socket) -> None:
        try:
            if end.recv(_CHUNK):
                return
        except BlockingIOError:
            return
        except OSError:
            # Reset, timed out, unreachable: in any case nobody listens any more.
            pass
        self._end(end)

    def _end(self, end: socket.socket) -> None:
        if self._lingering.pop(end, None) is not None:
            self._selector.unregister(end)
            end.close()
