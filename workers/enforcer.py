"""Orders for sessions of this worker, seen to while its loop is busy: a part of the watchdog.

    row.alarm moves --> all words are looked at once --> the ring: the loop carries them out
                          |                                (workers/lua/engine/closing.lua)
    still there after GRACE seconds: the loop does not get to them
                          v
      KILL    the client is cut off, by shutdown(2) of its socket; the order is CUT then
      both    code of the session that runs is to be ended: the watchdog aims its hook at it

A descriptor may become another session's at any moment. So a copy of it is made first, and used
only when the slot still says afterwards that it is this session's: engine/sessions changes the slot
before it closes the socket.
"""

from __future__ import annotations

import contextlib
import os
import socket
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Final

from shm import logs, orders, running
from shm.orders import Order, Wish
from shm.running import Sight
from shm.segment import Segment
from shm.states import SlotState

GRACE: Final = 0.05
"""Seconds that the loop has for an order before anything is done without it."""
BUSY_PAUSE: Final = 0.02
"""Seconds between two looks while orders wait or code is to be ended."""
IDLE_PAUSE: Final = 0.1
"""The same while there are none."""
NO_SOCKET: Final = 0xFFFFFFFF
"""``fd`` of a slot whose socket is closed."""

_NAMED: Final = 10
"""Sessions that one line of the log names."""


@dataclass(frozen=True)
class Aim:
    """Code that is to be ended: its pulse, and the session whose it has to be."""

    pulse: bytes
    session: int
    killed: bool
    """Whether its session is to end; else only its request is."""


@dataclass
class Enforcer:
    """Looks after the orders for the sessions of one row; ``ring`` wakes the loop for them."""

    segment: Segment
    row: int
    sight: Sight
    ring: Callable[[], None]
    _alarm: float = 0.0
    _since: dict[Order, float] = field(default_factory=dict)
    """When orders were seen that are not carried out."""
    _aimed: dict[int, bytes] = field(default_factory=dict)
    """The one piece of code that the CANCEL of a session is for."""
    _cut: set[int] = field(default_factory=set)
    """Sessions that were cut off here, and whose loop has not noticed."""

    @property
    def pause(self) -> float:
        """Seconds until the next look."""
        return BUSY_PAUSE if self._since or self._cut else IDLE_PAUSE

    def look(self, now: float) -> Aim | None:
        """Do what is due at ``now``, monotonic seconds; the code that is to be ended, if any."""
        alarm = float(self.segment.rows[self.row].alarm)
        if alarm != self._alarm:
            self._alarm = alarm
            self._note(now)
        if self._since:
            self._go_on(now)
        return self._aim(now) if self._since or self._cut else None

    def _note(self, now: float) -> None:
        """See what is ordered."""
        for order in orders.waiting(self.segment, self.row):
            self._since.setdefault(order, now)
        if self._since:
            self.ring()

    def _go_on(self, now: float) -> None:
        """Forget what is done; cut off whom the loop has not cut off in time."""
        cut = []
        for order, since in list(self._since.items()):
            done = not orders.left(self.segment, [order.session], order.wish)
            if not done and order.wish == Wish.KILL and now - since >= GRACE:
                done = self._end(order)
                cut += [order.session] if done else []
            if done:
                del self._since[order]
                self._aimed.pop(order.session, None)
        if cut:
            named = ", ".join(map(str, cut[:_NAMED])) + (", ..." if cut[_NAMED:] else "")
            text = "cut off sessions that were to end while the loop is busy"
            logs.get().warning(text, count=len(cut), sessions=named)

    def _end(self, order: Order) -> bool:
        """Cut off the client of a session; False while its connection is still on the way."""
        slot = self.segment.slots[order.session % self.segment.capacity]
        if slot.state == SlotState.CLAIMED:
            return False
        fd = int(slot.fd)
        if self._is_open(order.session, fd):
            self._shut_down(order.session, fd)
            self._cut.add(order.session)
        orders.done(self.segment, order)
        return True

    def _shut_down(self, session: int, fd: int) -> None:
        with contextlib.suppress(OSError):
            copy = os.dup(fd)
            try:
                # Not before: until then the descriptor may have become another's.
                if self._is_open(session, fd):
                    shut_down(copy)
            finally:
                os.close(copy)

    def _is_open(self, session: int, fd: int | None = None) -> bool:
        """Whether the client of a session is there, on this descriptor."""
        slot = self.segment.slots[session % self.segment.capacity]
        found = int(slot.fd)
        if slot.state != SlotState.LIVE or found == NO_SOCKET or slot.id != session:
            return False
        return fd is None or found == fd

    def _aim(self, now: float) -> Aim | None:
        pulse, session = running.own_code(self.sight)
        if session in self._cut and self._is_open(session):
            return Aim(pulse, session, killed=True)
        if not session:
            self._cut = {each for each in self._cut if self._is_open(each)}
        since = self._since.get(Order(session, Wish.CANCEL))
        if since is None or now - since < GRACE:
            return None
        # Not the requests that come after the one that was running then.
        ours = self._aimed.setdefault(session, pulse) == pulse
        return Aim(pulse, session, killed=False) if ours else None


def shut_down(fd: int) -> None:
    """End a connection in both directions; OSError when it is none, or has ended."""
    end = socket.socket(fileno=fd)
    try:
        end.shutdown(socket.SHUT_RDWR)
    finally:
        end.detach()
