"""Frees claims whose connections died with an acceptor. Part of the crew.

A claim whose connection did reach its worker turns LIVE as soon as the worker reads its intake.
So what is still claimed after the intake was seen read to the end, twice with a period between,
belongs to nobody.
"""

from __future__ import annotations

from typing import Any, Final

from server.children import Child
from server.loop import Loop
from server.post import Post
from shm import channel
from shm.sessions import SessionTable
from shm.states import SlotState

CLAIMED: Final = frozenset({SlotState.CLAIMED})
PERIOD: Final = 1.0
"""Seconds between two looks."""
QUIET_LOOKS: Final = 2
"""Looks in a row that must find a worker's intake read to the end."""


class Sweeper:
    """Looks at the intakes of workers after an acceptor has died."""

    def __init__(self, loop: Loop, table: SessionTable, log: Any) -> None:
        self._loop = loop
        self._table = table
        self._log = log

    def sweep_later(self, post: Post, child: Child, newest: int, looks: int = QUIET_LOOKS) -> None:
        """Free the claims of a worker up to the id ``newest``, once its intake is quiet."""
        self._loop.after(PERIOD, lambda: self._sweep(post, child, newest, looks))

    def _sweep(self, post: Post, child: Child, newest: int, looks: int) -> None:
        if post.child is not child or post.intake is None:
            return
        looks = looks - 1 if channel.unread(post.intake) == 0 else QUIET_LOOKS
        if looks > 0:
            self.sweep_later(post, child, newest, looks)
            return
        freed = self._table.reclaim(post.index, CLAIMED, newest).ids
        if freed:
            self._log.warning("freed claims of a dead acceptor", sessions=len(freed))
