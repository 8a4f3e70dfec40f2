"""When a dead child is started again. Pure: facts and times in, a decision out.

    died after it was ready       0.1 s, doubled for every further death within PERIOD, at most 5 s
    died before it was ready      1 s, doubled likewise, at most 30 s
    ended orderly, by SIGTERM     0.1 s; this is no death (ends.after_end)
    STORM deaths within PERIOD    30 s, and the log says that something is wrong for good

A server never gives a worker up: the other workers serve on, and a cause outside (a full disk, a
file half copied) may pass.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import Final

PERIOD: Final = 60.0
"""How long a death counts, seconds."""
STORM: Final = 10
READY_DELAY: Final = 0.1
READY_LIMIT: Final = 5.0
NEVER_READY_DELAY: Final = 1.0
NEVER_READY_LIMIT: Final = 30.0


@dataclass(frozen=True)
class History:
    """The recent deaths of one child, oldest first: seconds of a steady clock."""

    deaths: tuple[float, ...] = field(default=())

    def with_death(self, now: float) -> History:
        """This history and one more death; those older than PERIOD are forgotten."""
        recent = tuple(death for death in self.deaths if now - death < PERIOD)
        return replace(self, deaths=(*recent, now)[-STORM:])


@dataclass(frozen=True)
class Decision:
    """Start again after ``delay`` seconds; ``storm`` when it dies too often."""

    delay: float
    storm: bool


def decide(history: History, was_ready: bool) -> Decision:
    """What to do after the newest death in ``history``."""
    count = len(history.deaths)
    if count >= STORM:
        return Decision(NEVER_READY_LIMIT, storm=True)
    first, limit = (
        (READY_DELAY, READY_LIMIT) if was_ready else (NEVER_READY_DELAY, NEVER_READY_LIMIT)
    )
    return Decision(min(first * 2 ** max(count - 1, 0), limit), storm=False)


@dataclass(frozen=True)
class Outlook:
    """How a child ended last, and what comes next, for whoever asks."""

    reason: str = ""
    """Why it ended, empty while none has."""
    ended: float = 0.0
    """When, seconds since the epoch."""
    next_start: float | None = None
    """When it is started again, seconds of the steady clock; None when that is not planned."""
    storm: bool = False

    def ends(self, reason: str, ended: float) -> Outlook:
        """It has ended, and nobody has decided about it."""
        return Outlook(reason, ended)

    def waits(self, decision: Decision, now: float) -> Outlook:
        """It is to be started again."""
        return replace(self, next_start=now + decision.delay, storm=decision.storm)

    def without_start(self) -> Outlook:
        """It has been started, or never will be."""
        return replace(self, next_start=None, storm=False)
