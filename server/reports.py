"""Log lines about what happens too often for a line each. Pure.

The acceptor says through :class:`Reports` what it refused and what it was out of: ``hit`` for every
time, ``expire`` with every turn of its loop.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from enum import Enum
from functools import partial
from typing import Any, Final

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


@dataclass(frozen=True)
class _Line:
    """Level and text of a line, and the name of the count in it."""

    level: str
    text: str
    counted: str


class Trouble(Enum):
    """What the acceptor has to tell."""

    FULL = _Line("warning", "session table full", "refused")
    ADDRESS = _Line("warning", "session limit of an address reached", "refused")
    RATE = _Line("warning", "accept rate reached: connections wait", "waits")
    ROOM = _Line("warning", "open-files limit of the workers reached: connections wait", "waits")
    SCARCE = _Line("error", "cannot accept connections for now", "failures")
    STRANGERS = _Line(
        "warning", "control or console socket: closed what another user opened", "count"
    )
    UNTRUSTED = _Line("warning", "closed what came from no trusted proxy", "count")
    MALFORMED = _Line("warning", "closed what began with no PROXY header", "count")
    LATE = _Line("warning", "closed what sent no PROXY header in time", "count")


class Reports:
    """A report for every trouble; ``log`` has a method a level."""

    def __init__(self, log: Any) -> None:
        self._log = log
        self._facts: dict[Trouble, dict[str, Any]] = {}
        self._reports = {trouble: Report(partial(self._say, trouble)) for trouble in Trouble}

    def hit(self, trouble: Trouble, now: float, count: int = 1, **facts: Any) -> None:
        """It happened ``count`` times; the line has the newest facts."""
        self._facts[trouble] = facts
        self._reports[trouble].hit(now, count)

    def expire(self, now: float) -> None:
        """Tell what came together in the periods that are over."""
        for report in self._reports.values():
            report.expire(now)

    def deadline(self) -> float | None:
        """When the next period is over."""
        times = [one.deadline for one in self._reports.values() if one.deadline is not None]
        return min(times, default=None)

    def _say(self, trouble: Trouble, count: int) -> None:
        line = trouble.value
        say = getattr(self._log, line.level)
        say(line.text, **{line.counted: count}, **self._facts[trouble])
