"""What others want of the worker that has a session: its end, or that of its requests.

    anybody   place(): word of the session's slot, then the alarm of the worker's row
    worker    its watchdog sees the alarm, also while Lua is busy, and carries out()

A word is the session's id with the wish above it. Ids are never used twice, so a word that is late,
or that stays behind, concerns nobody. Of two wishes for one session the later one holds, and its
end is never taken back for less.
"""

from __future__ import annotations

import secrets
from collections.abc import Iterable, Iterator
from enum import IntEnum
from typing import Final, NamedTuple

from shm import layout
from shm.segment import Segment

_ID_MASK: Final = (1 << layout.ID_BITS) - 1
_ALARMS: Final = 2**53


class Wish(IntEnum):
    """What is wanted."""

    CANCEL = 1
    """Its running requests end with an error; the session stays."""
    KILL = 2
    """The session ends, with :attr:`shm.states.EndReason.KILLED`."""


class Order(NamedTuple):
    """One wish, and the session it is for."""

    session: int
    wish: Wish


def place(segment: Segment, sessions: Iterable[int], wish: Wish) -> int:
    """Order this for every one of the sessions that exists; how many those are.

    Anybody may, at any time.
    """
    count = 0
    rows = set()
    for session in sessions:
        index = session % segment.capacity
        slot = segment.slots[index]
        row = int(slot.worker)
        if session <= 0 or slot.id != session:
            continue
        if wish > Wish.CANCEL or _read(segment, index) != Order(session, Wish.KILL):
            segment.orders[index].word = session | wish << layout.ID_BITS
        rows.add(row)
        count += 1
    for row in rows:
        segment.rows[row].alarm = float(1 + secrets.randbelow(_ALARMS))
    return count


def waiting(segment: Segment, worker: int) -> Iterator[Order]:
    """The orders that are there for sessions of a worker's row, from one look at all words."""
    words = memoryview(segment.orders).cast("B").cast("Q").tolist()
    for index, word in enumerate(words):
        if word:
            slot, order = segment.slots[index], _order(word)
            if order is not None and slot.worker == worker and slot.id == order.session:
                yield order


def done(segment: Segment, order: Order) -> None:
    """Forget an order that was carried out, unless another one has come meanwhile."""
    index = order.session % segment.capacity
    if _read(segment, index) == order:
        segment.orders[index].word = 0


def _read(segment: Segment, index: int) -> Order | None:
    return _order(int(segment.orders[index].word))


def _order(word: int) -> Order | None:
    if not word:
        return None
    return Order(word & _ID_MASK, Wish(word >> layout.ID_BITS))
