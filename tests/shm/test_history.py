"""Ended sessions: those of dead workers written down, and all of them read."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from typing import Any

import pytest

from shm import history, layout
from shm.filters import ENDED, parse
from shm.history import EndedRow
from shm.segment import Segment
from shm.sessions import SessionTable
from shm.states import EndReason, SessionType, SlotState
from tests.helpers.wait import wait_until

SALT = bytes(layout.SALT_BYTES)
HELD = frozenset({SlotState.LIVE, SlotState.CLOSING})
USERS = {1: "admin", 32: "ada"}


def live(segment: Segment, table: SessionTable, peer: bytes = b"127.0.0.1:5", **fields: Any) -> int:
    """A session of worker 0 with whatever fields."""
    number = table.claim(peer, 0, SALT, kind=fields.pop("type", SessionType.BINARY))
    assert number is not None
    slot = segment.slots[number % segment.capacity]
    slot.state = SlotState.LIVE
    for name, value in fields.items():
        setattr(slot, name, value)
    return number


def died(segment: Segment, table: SessionTable, number: int = 0) -> list[EndedRow]:
    """All records once the worker of row 0 has died."""
    history.bury(segment, 0, number, table.reclaim(0, HELD).slots)
    return history.ended(segment, USERS)


def record(
    segment: Segment, ring: int, place: int, session: int, ended: float, **fields: Any
) -> None:
    """What a worker writes of one session."""
    end = segment.ends[ring * layout.HISTORY + place]
    end.id, end.ended, end.connected, end.type = session, ended, ended - 5, SessionType.BINARY
    end.peer_len = len(fields.get("peer", b""))
    for name, value in fields.items():
        setattr(end, name, value)


def test_none_at_first(segment: Segment, table: SessionTable) -> None:
    assert history.ended(segment) == []
    assert died(segment, table) == []
    assert segment.header.buried == 0


def test_what_is_told_of_a_session_of_a_dead_worker(segment: Segment, table: SessionTable) -> None:
    text = b"bee\x81\xa1k\xa1v"
    session = live(
        segment, table, b"[::1]:80", type=SessionType.CONSOLE, uid=32, requests=7, bytes_in=8,
        bytes_out=9, listener=layout.ADOPTED, text=text, name_len=3, attrs_len=5, text_version=4,
    )  # fmt: skip
    segment.slots[session].connected -= 100
    connected = segment.slots[session].connected
    (row,) = died(segment, table, number=3)

    assert 0 <= time.time() - row.ended < 60
    assert row == EndedRow(
        id=session, type="console", user="ada", uid=32, peer="[::1]:80", listener="new", worker=3,
        connected=connected, ended=row.ended, age=row.ended - connected, requests=7, bytes_in=8,
        bytes_out=9, name="bee", attrs={"k": "v"}, reason="worker_died",
    )  # fmt: skip
    assert (segment.header.buried, table.exists(session)) == (1, False)


def test_one_that_ended_already_keeps_its_reason(segment: Segment, table: SessionTable) -> None:
    session = live(segment, table, state=SlotState.CLOSING, reason=EndReason.IDLE)
    (row,) = died(segment, table)
    assert (row.id, row.reason, row.user, row.name) == (session, "idle", None, None)


def test_claims_and_slots_that_are_half_freed_are_no_sessions(
    segment: Segment, table: SessionTable
) -> None:
    table.claim(b"p", 0, SALT)
    segment.slots[live(segment, table, state=SlotState.CLOSING)].id = 0
    assert died(segment, table) == []
    found = table.reclaim(0, frozenset({SlotState.CLAIMED}))
    assert (len(found.ids), found.slots) == (1, [])


def test_one_that_its_worker_wrote_down_before_it_died_is_told_once(
    segment: Segment, table: SessionTable
) -> None:
    first, second, third = (live(segment, table) for _ in range(3))
    record(segment, 0, 0, first, 50.0)
    record(segment, 0, 1, second, 60.0)
    segment.rows[0].buried = 1
    assert sorted(row.id for row in died(segment, table)) == [first, second, third]
    assert segment.header.buried == 1


def test_a_name_that_was_half_written_is_none(segment: Segment, table: SessionTable) -> None:
    live(segment, table, text=b"half", name_len=4, text_version=5)
    (row,) = died(segment, table)
    assert (row.name, row.attrs) == (None, {})


@pytest.fixture
def large(segment_name: str) -> Iterator[Segment]:
    made = Segment.create(segment_name, capacity=2 * layout.HISTORY, workers=2)
    yield made
    made.close()


def test_a_ring_keeps_the_newest(large: Segment) -> None:
    table = SessionTable(large)
    try:
        ids = [live(large, table) for _ in range(layout.HISTORY + 10)]
        rows = died(large, table)
        assert [row.id for row in rows] == ids[10:]
        session = live(large, table)
        assert len(died(large, table)) == layout.HISTORY
        assert history.ended(large)[0].id == session
        assert large.header.buried == layout.HISTORY + 1
    finally:
        table.close()


def crowd(segment: Segment) -> None:
    """Four that have ended, each in its own way."""
    segment.rows[1].number = 1
    record(segment, 0, 0, 5, 100.0, uid=1, reason=EndReason.IDLE, peer=b"127.0.0.1:5")
    record(segment, 0, 1, 6, 300.0, uid=32, reason=EndReason.KILLED, peer=b"10.2.3.4:5")
    record(segment, 1, 0, 7, 200.0, uid=32, number=1, requests=9, peer=b"unix/:(socket)")
    record(segment, 2, 5, 8, 300.0, uid=77, connected=1.0, text=b"bee", name_len=3)


def test_all_rings_the_newest_first(segment: Segment) -> None:
    crowd(segment)
    rows = history.ended(segment)
    assert [row.id for row in rows] == [6, 8, 7, 5]
    assert [row.age for row in rows] == [5.0, 299.0, 5.0, 5.0]
    assert [row.peer for row in rows] == ["10.2.3.4:5", None, "unix/:(socket)", "127.0.0.1:5"]


@pytest.mark.parametrize(
    ("given", "found"),
    [
        ({"limit": 2}, [6, 8]),
        ({"limit": 0}, []),
        ({"order": "id"}, [5, 6, 7, 8]),
        ({"order": "-requests", "limit": 1}, [7]),
        ({"order": "reason"}, [7, 8, 5, 6]),
        ({"order": "user"}, [8, 6, 7, 5]),
        ({"id": [5, 7, 99]}, [7, 5]),
        ({"user": "ada"}, [6, 7]),
        ({"not_user": "ada"}, [8, 5]),
        ({"uid": 77}, [8]),
        ({"peer": "10.0.0.0/8"}, [6]),
        ({"not_peer": ["10.0.0.0/8", "unix/:(socket)"]}, [8, 5]),
        ({"worker": 1}, [7]),
        ({"type": "console"}, []),
        ({"name": "bee"}, [8]),
        ({"not_name": ""}, [8]),
        ({"age_gt": 5}, [8]),
        ({"not_age_gt": 5}, [6, 7, 5]),
        ({"reason": ["idle", "killed"]}, [6, 5]),
        ({"not_reason": "idle", "user": "ada"}, [6, 7]),
    ],
    ids=str,
)
def test_filters(segment: Segment, given: dict[str, Any], found: list[int]) -> None:
    crowd(segment)
    rows = history.ended(segment, {**USERS, 77: ""}, parse(given, ENDED))
    assert [row.id for row in rows] == found


def test_no_record_is_read_half_written(segment: Segment) -> None:
    """Another thread writes as a worker does; what belongs together is never mixed."""
    stop = threading.Event()

    def write() -> None:
        number = 0
        while not stop.is_set():
            number += 1
            end = segment.ends[number % 2]
            end.id = 0
            end.requests, end.peer, end.peer_len = number, b"%d" % number, len(str(number))
            end.id = number

    writer = threading.Thread(target=write)
    writer.start()
    try:
        wait_until(
            lambda: all(segment.ends[place].requests for place in (0, 1)), what="two records"
        )
        rows = [row for _ in range(200) for row in history.ended(segment)]
    finally:
        stop.set()
        writer.join()
    assert rows
    assert all(row.id == row.requests == int(row.peer or 0) for row in rows)
