"""Sessions whose worker died: who runs on_disconnect for them. Part of the supervisor.

    add() --> waiting --deal()--> given to a worker, in numbers that rise within its row
                 ^                    | the row's lost_begun passes the number: begun, for good
                 +------ended()-------+ that worker died too: what it did not begin

A worker stores ``lost_begun = n + 1`` before it begins number n. So what becomes of every session
is decided by one word in shared memory, whatever the receiver died of, and none is begun twice.
While no worker can take them they wait. No input or output here: :mod:`server.crew` sends.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any, Final

from shm.sessions import LostSession

BATCH: Final = 500
"""Most sessions in one message, which has some 100 bytes for each."""


@dataclass
class _Share:
    """What the worker of one row was given and has not begun; ``first`` is the first's number."""

    first: int = 0
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

    def add(self, sessions: Iterable[LostSession]) -> None:
        """Take over what a dead worker held."""
        self._waiting.extend(sessions)

    def waiting(self) -> int:
        """Sessions that no worker was given."""
        return len(self._waiting)

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

    def ended(self, row: int, begun: int) -> None:
        """The worker of a row is no more: what it has not begun waits again, before all else."""
        share = self._shares.pop(row, None)
        if share is None:
            return
        share.progress(begun)
        self._shares[row] = _Share(share.first + len(share.sessions))
        self._waiting.extendleft(reversed(share.sessions))
