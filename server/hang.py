"""Which processes hang. Pure: what was seen of them and times in, those that have to end out.

    ready      its beat (turns of its loop, in the segment) stands still for Bounds.hang seconds
    starting   it is not ready after Bounds.start seconds

Time counts as it was watched: between two looks at most MOST seconds. When the machine, or the
supervisor, was stopped for an hour, nobody's beat moved, and nobody is to blame. A process that a
debugger holds hangs like any other.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

PERIOD: Final = 0.5
"""Seconds between two looks."""
MOST: Final = 2 * PERIOD


@dataclass(frozen=True)
class Bounds:
    """Seconds that a process may be silent, and that it may take to start; 0 for any time."""

    hang: float = 0.0
    start: float = 0.0


@dataclass(frozen=True)
class Seen:
    """One process at one look; ``beat`` is None until it is ready."""

    pid: int
    beat: int | None


@dataclass(frozen=True)
class Verdict:
    """A process that has to end, after so many seconds."""

    pid: int
    silent: float
    starting: bool


@dataclass
class _Silence:
    beat: int | None
    lasted: float = 0.0
    told: bool = False


class Watch:
    """What is known of the processes that are watched."""

    def __init__(self) -> None:
        self._known: dict[int, _Silence] = {}
        self._last: float | None = None

    def look(self, seen: Sequence[Seen], now: float, bounds: Bounds) -> list[Verdict]:
        """Those that hang, each once; who is not among ``seen`` is forgotten."""
        passed = 0.0 if self._last is None else min(now - self._last, MOST)
        self._last = now
        self._known = {one.pid: self._silence(one, passed) for one in seen}
        found = []
        for pid, silence in self._known.items():
            starting = silence.beat is None
            limit = bounds.start if starting else bounds.hang
            if limit and silence.lasted >= limit and not silence.told:
                silence.told = True
                found.append(Verdict(pid, silence.lasted, starting))
        return found

    def silence(self, pid: int) -> float | None:
        """Seconds that a process has been silent, None for one that was not among the last."""
        known = self._known.get(pid)
        return None if known is None else known.lasted

    def _silence(self, seen: Seen, passed: float) -> _Silence:
        silence = self._known.get(seen.pid)
        if silence is None or silence.beat != seen.beat:
            return _Silence(seen.beat)
        silence.lasted += passed
        return silence
