"""Log lines about what happens too often for a line each. Pure.

The acceptor says through them what it refused and what it was out of: :meth:`Report.hit` for every
time, :meth:`Report.expire` with every turn of its loop.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

REPORT_PERIOD: Final = 10.0
"""Seconds between two log lines about the same trouble."""


class Report:
    """Something that happens too often for a log line each: one line a period, with the count."""

    def __init__(self, say: Callable[[int], None]) -> None:
        self._say = say
        self._count = 0
        self.deadline: float | None = None
        """When the count is told, None while there is nothing to tell."""

    def hit(self, now: float, count: int = 1) -> None:
        """It happened: told at once, or at the end of the period that runs."""
        self._count += count
        if self.deadline is None:
            self._tell(now)

    def expire(self, now: float) -> None:
        """Tell what came together when the period is over."""
        if self.deadline is not None and self.deadline <= now:
            self.deadline = None
            if self._count:
                self._tell(now)

    def _tell(self, now: float) -> None:
        self._say(self._count)
        self._count = 0
        self.deadline = now + REPORT_PERIOD
