"""What others want of the worker that has a session: its end, or that of its requests.

    anybody   place(): word of the session's slot, then the alarm of the worker's row
      |
      v
    worker    its loop carries out what is ordered (workers/lua/engine/closing.lua), or, while that
      |       is busy, the thread beside it (workers/enforcer.py), and says so in the word
      v
    anybody   left(): what is not carried out yet

A word is the session's id with the wish above it. Ids are never used twice, so a word that is late,
or that stays behind, concerns nobody. Of two wishes for one session the greater one holds: its end
is never taken back for less.
"""

from __future__ import annotations

import secrets
from collections.abc import Iterable, Iterator
from enum import IntEnum
from typing import Final, NamedTuple

from shm import layout
from shm.segment import Segment
from shm.states import SlotState

_ID_MASK: Final = (1 << layout.ID_BITS) - 1
_ALARMS: Final = 2**53


class Wish(IntEnum):
    """What is wanted."""

    NONE = 0
    CANCEL = 1
    """Its running requests end with an error; the session stays."""
    KILL = 2
    """The session ends, with :attr:`shm.states.EndReason.KILLED`."""
    CUT = 3
    """What becomes of KILL: the client is cut off, and what is left to do is its worker's."""


class Order(NamedTuple):
    """One wish, and the session it is for."""

    session: int
    wish: Wish


def place(segment: Segment, sessions: Iterable[int], wish: Wish) -> list[int]:
    """Order this for every one of the sessions that it can be done to; which those are.

    Not for those that do not exist or were cut off; KILL not for those that are CLOSING. Anybody
    may, at any time.
    """
    placed = []
    rows = set()
    for session in sessions:
        row = _place(segment, session, wish)
        if row is not None:
            placed.append(session)
            rows.add(row)
    for row in rows:
        segment.rows[row].alarm = float(1 + secrets.randbelow(_ALARMS))
    return placed


def left(segment: Segment, sessions: Iterable[int], wish: Wish) -> list[int]:
    """Those of the sessions for which this was placed and is not carried out yet."""
    found = []
    for session in sessions:
        index = session % segment.capacity
        if segment.slots[index].id != session:
            continue
        now = _wish(segment, index, session)
        if wish == Wish.CANCEL and now == Wish.CANCEL:
            found.append(session)
        elif wish == Wish.KILL and now != Wish.CUT:
            if now != Wish.KILL:
                # Lost to one that was written, or forgotten, at the same moment.
                place(segment, [session], wish)
            found.append(session)
    return found


def waiting(segment: Segment, worker: int) -> Iterator[Order]:
    """What is to be done for sessions of a worker's row, from one look at all words."""
    words = memoryview(segment.orders).cast("B").cast("Q").tolist()
    for index, word in enumerate(words):
        if word:
            slot, order = segment.slots[index], _order(word)
            if order.wish != Wish.CUT and slot.worker == worker and slot.id == order.session:
                yield order


def done(segment: Segment, order: Order) -> None:
    """Say that an order was carried out, unless another one has come meanwhile."""
    index = order.session % segment.capacity
    if _wish(segment, index, order.session) == order.wish:
        _store(segment, index, order.session, Wish.CUT if order.wish == Wish.KILL else Wish.NONE)


def is_killed(segment: Segment, session: int) -> bool:
    """Whether the end of a session was ordered, carried out or not."""
    return _wish(segment, session % segment.capacity, session) >= Wish.KILL


def _place(segment: Segment, session: int, wish: Wish) -> int | None:
    """The row of the worker that has to do it; None when it cannot be done."""
    index = session % segment.capacity
    slot = segment.slots[index]
    row, state = int(slot.worker), slot.state
    if session <= 0 or slot.id != session:
        return None
    now = _wish(segment, index, session)
    if now == Wish.CUT or (wish == Wish.KILL and state == SlotState.CLOSING):
        return None
    if wish > now:
        _store(segment, index, session, wish)
    return row


def _wish(segment: Segment, index: int, session: int) -> Wish:
    """What is wanted for a session by the word of its slot."""
    order = _order(int(segment.orders[index].word))
    return order.wish if order.session == session else Wish.NONE


def _store(segment: Segment, index: int, session: int, wish: Wish) -> None:
    if wish:
        segment.header.ordered = 1
    segment.orders[index].word = session | wish << layout.ID_BITS if wish else 0


def _order(word: int) -> Order:
    return Order(word & _ID_MASK, Wish(word >> layout.ID_BITS))
