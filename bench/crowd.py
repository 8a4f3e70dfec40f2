"""Tens of thousands of sessions that do nothing, held by several processes.

Called by scenarios of ``bench.suite`` that look at a large table; each holder (``bench.holder``)
has as many descriptors as one process may.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from typing import Final

from bench import idle
from bench.session import Endpoint

A_HOLDER: Final = 15_000
"""Sessions that one process holds."""


class Crowd:
    """The sessions; they leave with the block of :func:`crowd`."""

    def __init__(self, endpoint: Endpoint, stack: ExitStack) -> None:
        self._endpoint = endpoint
        self._stack = stack
        self._holders: list[idle.Holder] = []
        self.size = 0

    def grow(self, size: int) -> None:
        """Be so many, each of which has had a PING answered; TargetError when one fails."""
        while self.size < size:
            at = self.size % A_HOLDER
            if at == 0:
                self._holders.append(self._stack.enter_context(idle.holder(self._endpoint)))
            more = min(size - self.size, A_HOLDER - at)
            self._holders[-1].open(more)
            self.size += more


@contextmanager
def crowd(endpoint: Endpoint) -> Iterator[Crowd]:
    """Nobody yet."""
    with ExitStack() as stack:
        yield Crowd(endpoint, stack)
