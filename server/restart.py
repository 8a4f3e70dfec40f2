"""When a dead child is started again. Pure: facts and times in, a decision out.

    died after it was ready       0.1 s, doubled for every further death within PERIOD, at most 5 s
    died before it was ready      1 s, doubled for every further one in a row, at most 30 s
    ended orderly, by SIGTERM     0.1 s; this is no death (ends.after_end)
    STORM deaths within PERIOD,   30 s, and the server says that something is wrong for good
    or VAIN in a row before it
    was ready

PERIOD is of the time that the child was there; how long its next start was waited for does not
count. So a storm lasts until one stays, however rarely it is tried. A server never gives a worker
up: the other workers serve on, and a cause outside (a full disk, a file half copied) may pass.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Final

PERIOD: Final = 60.0
"""How long a death counts, seconds of the child's life."""
STORM: Final = 10
VAIN: Final = 5
READY_DELAY: Final = 0.1
READY_LIMIT: Final = 5.0
NEVER_READY_DELAY: Final = 1.0
NEVER_READY_LIMIT: Final = 30.0


@dataclass(frozen=True)
class History:
    """The recent deaths of one child, oldest first; times are seconds that it has lived in all."""

    lived: float = 0.0
    deaths: tuple[float, ...] = ()
    vain: int = 0
    """The last so many deaths came before it was ready."""

    def with_death(self, lived: float, was_ready: bool) -> History:
        """This history and one more death, after ``lived`` seconds; old ones are forgotten."""
        now = self.lived + lived
        recent = tuple(death for death in self.deaths if now - death < PERIOD)
        return History(now, (*recent, now)[-STORM:], 0 if was_ready else self.vain + 1)


@dataclass(frozen=True)
class Decision:
    """Start again after ``delay`` seconds; ``storm`` when it dies too often."""

    delay: float
    storm: bool


def decide(history: History) -> Decision:
    """What to do after the newest death in ``history``."""
    if len(history.deaths) >= STORM or history.vain >= VAIN:
        return Decision(NEVER_READY_LIMIT, storm=True)
    if history.vain:
        delay = NEVER_READY_DELAY * 2 ** (history.vain - 1)
        return Decision(min(delay, NEVER_READY_LIMIT), storm=False)
    delay = READY_DELAY * 2 ** max(len(history.deaths) - 1, 0)
    return Decision(min(delay, READY_LIMIT), storm=False)


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
    """It died too often, and none has been ready since."""

    def ends(self, reason: str, ended: float) -> Outlook:
        """It has ended, and nobody has decided about it."""
        return Outlook(reason, ended, storm=self.storm)

    def waits(self, decision: Decision, now: float) -> Outlook:
        """It is to be started again."""
        return replace(self, next_start=now + decision.delay, storm=decision.storm)

    def without_start(self) -> Outlook:
        """It has been started, or never will be."""
        return replace(self, next_start=None)

    def is_ready(self) -> Outlook:
        """It serves."""
        return replace(self, storm=False)
