"""Descriptors that are kept open, so that there are some when the open-files limit is reached.

The acceptor gives one up for as long as it takes a descriptor that it must have: of a new worker,
or of a connection to one of the server's own sockets. The supervisor does to start a process, and
to let in who gives commands.
"""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator


class Spare:
    """Some descriptors of nothing."""

    def __init__(self, count: int = 1) -> None:
        self._count = count
        self._fds: list[int] = []
        self.refill()

    def refill(self) -> bool:
        """Have them again; whether that worked."""
        with contextlib.suppress(OSError):
            while len(self._fds) < self._count:
                self._fds.append(os.open(os.devnull, os.O_RDONLY | os.O_CLOEXEC))
        return len(self._fds) == self._count

    @contextlib.contextmanager
    def lent(self) -> Iterator[None]:
        """There are so many descriptors more inside."""
        self.close()
        try:
            yield
        finally:
            self.refill()

    def close(self) -> None:
        """Give them up."""
        while self._fds:
            os.close(self._fds.pop())
