"""Tens of thousands of sessions that do nothing, held by several processes.

Called by ``bench.listing``, ``bench.scrape`` and scenarios of ``bench.suite`` that look at a large
table; each holder (``bench.holder``) has as many descriptors as one process may.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from typing import Final

from bench import idle, targets
from bench.idle import HELD, SOURCES
from bench.session import Endpoint

_SETTINGS: Final = "iproto: {keepalive: {idle: 0}}"
"""Probes of so many connections at a time are more than the loopback's queue takes."""


class Crowd:
    """A server of this checkout, and its idle sessions; they leave with the block of :func:`at`."""

    def __init__(self, endpoint: Endpoint, stack: ExitStack) -> None:
        self.endpoint = endpoint
        self._stack = stack
        self._holders: list[idle.Holder] = []
        self.size = 0

    def grow(self, size: int, progress: Callable[[str], None]) -> None:
        """Be so many, each of which has had a PING answered; TargetError when one fails."""
        while self.size < size:
            progress(f"{self.size:,} of {size:,} sessions")
            at = self.size % HELD
            if at == 0:
                first = 2 + len(self._holders) * SOURCES
                self._holders.append(self._stack.enter_context(idle.holder(self.endpoint, first)))
            more = min(size - self.size, HELD - at)
            self._holders[-1].open(more)
            self.size += more


@contextmanager
def crowd(sessions: int, settings: str = "") -> Iterator[Crowd]:
    """A server with workers for so many sessions, and nobody yet.

    ``settings`` are more lines of its configuration.
    """
    with ExitStack() as stack:
        workers = max(1, -(-sessions // HELD))
        server = targets.beespace(workers, f"{_SETTINGS}\n{settings}\n")
        yield Crowd(stack.enter_context(server), stack)
