"""Sessions counted by kind and user, against a reading of them one by one."""

from __future__ import annotations

from collections import Counter

from shm import headcount, layout
from shm.headcount import Kind
from shm.segment import Segment
from shm.sessions import SessionTable
from shm.states import SessionType, SlotState

SALT = bytes(layout.SALT_BYTES)
BINARY, CONSOLE = SessionType.BINARY, SessionType.CONSOLE
CLAIMED, LIVE, CLOSING = SlotState.CLAIMED, SlotState.LIVE, SlotState.CLOSING


def test_an_empty_table(segment: Segment) -> None:
    counted = headcount.count(segment)
    assert (counted.sessions, counted.kinds, counted.users) == (0, {}, {})
    assert (counted.pending_out, counted.inbox_bytes) == (0, 0)


def test_kinds_users_and_what_waits(segment: Segment, table: SessionTable) -> None:
    made = [
        (CLAIMED, BINARY, 0, 0, 0, 0),
        (LIVE, BINARY, 0, 1, 100, 5),
        (LIVE, BINARY, 0, 1, 2**31, 0),
        (LIVE, CONSOLE, 1, 7, 0, 6),
        (CLOSING, BINARY, layout.ADOPTED, 2**32 - 1, 2**31, 0),
    ]
    for place, (state, kind, listener, uid, pending, inbox) in enumerate(made):
        number = table.claim(b"127.0.0.1:1", place % 2, SALT, listener, kind)
        assert number is not None
        slot = segment.slots[number % segment.capacity]
        slot.state, slot.uid, slot.pending_out, slot.inbox_bytes = state, uid, pending, inbox
    counted = headcount.count(segment)
    assert counted.kinds == {
        Kind(CLAIMED, BINARY, 0): 1,
        Kind(LIVE, BINARY, 0): 2,
        Kind(LIVE, CONSOLE, 1): 1,
        Kind(CLOSING, BINARY, layout.ADOPTED): 1,
    }
    assert counted.users == {0: 1, 1: 2, 7: 1, 2**32 - 1: 1}
    assert (counted.pending_out, counted.inbox_bytes) == (100 + 2**32, 11)


def test_what_ended_sessions_left_in_their_slots_does_not_count(
    segment: Segment, table: SessionTable
) -> None:
    number = table.claim(b"127.0.0.1:1", 0, SALT)
    assert number is not None
    slot = segment.slots[number % segment.capacity]
    slot.uid, slot.pending_out, slot.inbox_bytes = 5, 50, 60
    table.release(number)
    assert headcount.count(segment).sessions == 0
    counted = headcount.count(segment)
    assert (counted.users, counted.pending_out, counted.inbox_bytes) == ({}, 0, 0)


def test_a_full_table_counts_as_its_sessions_do(segment: Segment, table: SessionTable) -> None:
    while table.claim(b"127.0.0.1:1", 1, SALT, 3) is not None:
        pass
    counted = headcount.count(segment)
    told = Counter(Kind(each.state, each.type, each.listener) for each in table.sessions())
    assert counted.kinds == told
    assert counted.sessions == segment.capacity
