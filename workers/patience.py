"""When code has run too long, or has taken too much memory: decisions, made of what others saw.

:mod:`workers.watchdog` looks at the Lua loop and asks. A piece of code is known by its pulse; what
is to be done about it is an :class:`Attempt` to end it, or, when nothing helps, :class:`Death`.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

LEAST_EXTRA: Final = 1.0
"""Seconds, at least, in which code that is over its time can be ended before the process is."""
RETRY: Final = 0.05
"""Seconds between two attempts."""
SHORTEST_PAUSE: Final = 0.005
LONGEST_PAUSE: Final = 0.25

GROWTH: Final = 8e9
"""Bytes by which memory may grow in a second."""
FAR_TOO_MUCH: Final = 1.5
"""Times the limit that memory may be in use for a while, when nobody can be ended for it."""
WHILE: Final = 30.0
"""That while, seconds."""


@dataclass(frozen=True)
class Attempt:
    """Try to end the code."""

    first: bool


@dataclass(frozen=True)
class Death:
    """Nothing helps: end the process."""


@dataclass
class Patience:
    """Decides by how long one piece of code has been running; ``limit`` in seconds."""

    limit: float
    ran: float = 0.0
    _last: float = 0.0
    _pulse: bytes | None = None
    _attempts: int = 0

    @property
    def pause(self) -> float:
        """Seconds until the next look."""
        return RETRY if self._attempts else _within(self.limit / 20)

    def look(self, pulse: bytes | None, now: float) -> Attempt | Death | None:
        """What to do about the code with this pulse (None: nothing runs) at ``now``."""
        # A process that was stopped for a while, or had no CPU, has not been running meanwhile.
        passed = min(now - self._last, 2 * self.pause)
        self._last = now
        if pulse is None or pulse != self._pulse:
            self._pulse, self.ran, self._attempts = pulse, 0.0, 0
            return None
        self.ran += passed
        if self.ran < self.limit:
            return None
        if self.ran >= self.limit + max(self.limit, LEAST_EXTRA):
            return Death()
        self._attempts += 1
        return Attempt(first=self._attempts == 1)


@dataclass
class Appetite:
    """Decides by how much memory is in use; ``limit`` in bytes."""

    limit: float
    _used: float = 0.0
    _pulse: bytes | None = None
    _too_much_since: float | None = None

    @property
    def pause(self) -> float:
        """Seconds until the next look: soon enough to see the limit passed."""
        left = self.limit - self._used
        return RETRY if left < 0 else _within(left / GROWTH)

    def look(self, used: float, pulse: bytes | None, now: float) -> Attempt | Death | None:
        """What to do about the code with this pulse when so many bytes are ``used``."""
        self._used = used
        if used <= self.limit * FAR_TOO_MUCH:
            self._too_much_since = None
        elif self._too_much_since is None:
            self._too_much_since = now
        elif now - self._too_much_since >= WHILE:
            return Death()
        if used <= self.limit or pulse is None:
            self._pulse = None
            return None
        before, self._pulse = self._pulse, pulse
        return Attempt(first=pulse != before)


def _within(seconds: float) -> float:
    return min(max(seconds, SHORTEST_PAUSE), LONGEST_PAUSE)
