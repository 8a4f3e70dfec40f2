"""Sessions whose worker died: who runs on_disconnect for them. Part of the supervisor.

    add() --> waiting --deal()--> given to a worker, in numbers that rise within its row
               | ^                    | the row's lost_begun passes the number: begun, for good
               | +------ended()-------+ that worker died too: what it did not begin
               v
           given up: MOST_ENDS workers ended by themselves while they ran some of them

A worker stores ``lost_begun = n + 1`` before it begins number n. So what becomes of every session
is decided by one word in shared memory, whatever the receiver died of, and none is begun twice.
While no worker can take them they wait.

An on_disconnect that ends its process would end all workers, one after another. So ends that nobody
outside caused are counted while the row's lost_running is not 0, until a worker has gone through
all it was given. No input or output here: :mod:`server.crew` sends.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any, Final

from shm.sessions import LostSession

BATCH: Final = 500
"""Most sessions in one message, which has some 100 bytes for each."""

MOST_ENDS: Final = 2
"""Workers that may end by themselves over lost sessions before those that wait are given up."""


@dataclass
class _Share:
    """What the worker of one row was given and has not begun; ``first`` is the first's number.

    Those below the number ``over`` are known to be over, or were another process's.
    """

    first: int = 0
    over: int = 0
    sessions: deque[LostSession] = field(default_factory=deque)

    def progress(self, begun: int) -> None:
        """Forget those below the number ``begun``."""
        while self.sessions and self.first < begun:
            self.sessions.popleft()
            self.first += 1


class LostSessions:
    """All sessions of dead workers whose on_disconnect has not begun."""

    def __init__(self) -> None:
        self._waiting: deque[LostSession] = deque()
        self._shares: dict[int, _Share] = {}
        self._ends = 0

    def add(self, sessions: Iterable[LostSession]) -> None:
        """Take over what a dead worker held."""
        self._waiting.extend(sessions)

    def waiting(self) -> int:
        """Sessions that no worker was given."""
        return len(self._waiting)

    def look(self, row: int, begun: int, running: int) -> None:
        """See how far a row's worker is: its ``lost_begun``, and ``lost_running`` read after it."""
        share = self._shares.get(row)
        if share is None:
            return
        share.progress(begun)
        if share.first > share.over and not share.sessions and not running:
            share.over = share.first
            self._ends = 0

    def deal(self, row: int, begun: int, *, more: bool = False) -> dict[str, Any] | None:
        """The next message for the worker of a row, whose ``lost_begun`` is ``begun``.

        None when nothing waits, or, unless it shall have ``more``, while it has not begun all.
        """
        share = self._shares.setdefault(row, _Share())
        share.progress(begun)
        if not self._waiting or (share.sessions and not more):
            return None
        first = share.first + len(share.sessions)
        batch = [self._waiting.popleft() for _ in range(min(BATCH, len(self._waiting)))]
        share.sessions.extend(batch)
        return {"op": "lost", "first": first, "sessions": [list(session) for session in batch]}

    def not_sent(self, row: int, count: int) -> None:
        """The last ``count`` sessions that a row was given did not reach it: they wait again."""
        sessions = self._shares[row].sessions
        self._waiting.extendleft(sessions.pop() for _ in range(count))

    def ended(self, row: int, begun: int, running: int, *, by_itself: bool) -> int:
        """The worker of a row is no more: what it has not begun waits again, before all else.

        The number of sessions that are given up; the others' progress is to be looked at first.
        """
        self.look(row, begun, running)
        share = self._shares.pop(row, None)
        if share is None:
            return 0
        end = share.first + len(share.sessions)
        self._shares[row] = _Share(end, end)
        self._waiting.extendleft(reversed(share.sessions))
        if by_itself and running and share.first > share.over:
            self._ends += 1
        if self._ends < MOST_ENDS:
            return 0
        given_up = len(self._waiting)
        self._waiting.clear()
        self._ends = 0
        return given_up
