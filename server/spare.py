"""A descriptor that is kept open, so that there is one when the open-files limit is reached.

The acceptor gives it up for as long as it takes a descriptor that it must have: of a new worker, or
of a connection to one of the server's own sockets.
"""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator


class Spare:
    """One descriptor of nothing."""

    def __init__(self) -> None:
        self._fd: int | None = None
        self.refill()

    def refill(self) -> bool:
        """Have it again; whether that worked."""
        if self._fd is None:
            with contextlib.suppress(OSError):
                self._fd = os.open(os.devnull, os.O_RDONLY | os.O_CLOEXEC)
        return self._fd is not None

    @contextlib.contextmanager
    def lent(self) -> Iterator[None]:
        """There is one descriptor more inside."""
        self.close()
        try:
            yield
        finally:
            self.refill()

    def close(self) -> bool:
        """Give it up; whether it was there."""
        fd, self._fd = self._fd, None
        if fd is not None:
            os.close(fd)
        return fd is not None
