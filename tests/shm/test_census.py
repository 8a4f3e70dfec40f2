"""Sessions as rows: against the slots one by one, filtered, ordered, and while they change."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from typing import Any

import msgpack
import pytest

from shm import columns, layout
from shm.census import Census, Moment, SessionRow
from shm.filters import parse
from shm.segment import Segment
from shm.sessions import SessionTable
from shm.states import EndReason, SessionType, SlotState

SALT = bytes(layout.SALT_BYTES)
NOW = Moment(1_795_000_100.0, 5000.0)
USERS = {1: "admin", 32: "ada"}


def claim(segment: Segment, peer: str = "127.0.0.1:5", row: int = 0, **fields: Any) -> int:
    """A session with whatever fields; the table is opened for it alone."""
    table = SessionTable(segment)
    number = table.claim(peer.encode(), row, SALT, kind=fields.pop("type", SessionType.BINARY))
    table.close()
    assert number is not None
    slot = segment.slots[number % segment.capacity]
    slot.state, slot.connected = SlotState.LIVE, NOW.time - 60
    for name, value in fields.items():
        setattr(slot, name, value)
    return number


def name(segment: Segment, session: int, text: bytes, attributes: bytes = b"") -> None:
    slot = segment.slots[session % segment.capacity]
    slot.name_len, slot.attrs_len, slot.text = len(text), len(attributes), text + attributes


def ids(segment: Segment, **given: Any) -> list[int]:
    rows = Census(segment, USERS).sessions(parse(given), NOW)
    assert "limit" in given or len(rows) == Census(segment, USERS).count(parse(given), NOW)
    return [row.id for row in rows]


@pytest.fixture
def many(segment_name: str) -> Iterator[Segment]:
    """A table of several chunks, the last of them short."""
    made = Segment.create(segment_name, capacity=2 * columns.SLOTS + 100, workers=2)
    yield made
    made.close()


def test_an_empty_table(segment: Segment) -> None:
    assert Census(segment).sessions() == []
    assert Census(segment).count() == 0
    assert Census(segment).by("user") == Counter()


def test_everything_about_a_session(segment: Segment) -> None:
    at = layout.Header.listener_names.offset + 2 * layout.LISTENER_BYTES
    segment.memory[at : at + 14] = b"127.0.0.1:3301"
    segment.rows[1].number = 7
    number = claim(
        segment,
        "[::1]:55457",
        1,
        type=SessionType.CONSOLE,
        state=SlotState.CLOSING,
        listener=2,
        uid=32,
        requests=1 << 40,
        in_flight=3,
        bytes_in=4,
        bytes_out=5,
        pending_out=6,
        inbox_bytes=7,
        last_request=NOW.monotonic - 1.25,
        reason=EndReason.LOGIN_TIMEOUT,
    )
    name(segment, number, b"shop", msgpack.packb({"till": "2", "ä": "ö"}))
    row = SessionRow(
        id=number,
        type="console",
        user="ada",
        uid=32,
        peer="[::1]:55457",
        listener="127.0.0.1:3301",
        worker=7,
        state="closing",
        connected=NOW.time - 60,
        age=60.0,
        idle=1.25,
        requests=1 << 40,
        in_flight=3,
        bytes_in=4,
        bytes_out=5,
        pending_out=6,
        inbox_bytes=7,
        name="shop",
        attrs={"till": "2", "ä": "ö"},
        reason="login_timeout",
    )
    assert Census(segment, USERS).sessions(now=NOW) == [row]
    assert Census(segment, USERS).find(number, NOW) == row
    assert Census(segment).sessions(now=NOW) == [row._replace(user=None)]


def test_a_session_that_has_nothing_yet(segment: Segment) -> None:
    claim(segment, state=SlotState.CLAIMED, listener=layout.ADOPTED)
    (row,) = Census(segment, USERS).sessions(now=NOW)
    assert (row.user, row.listener, row.state) == (None, "new", "claimed")
    assert (row.idle, row.name, row.attrs, row.reason) == (60.0, None, {}, None)


def test_find(segment: Segment) -> None:
    numbers = [claim(segment) for _ in range(3)]
    census = Census(segment)
    assert [found.id for each in numbers if (found := census.find(each))] == numbers
    assert [census.find(each) for each in (0, -1, 4, numbers[0] + segment.capacity)] == [None] * 4


@pytest.mark.parametrize("packed", [b"\xc1", b"\x01", b"\x81\xa1a"])
def test_attributes_that_cannot_be_read(segment: Segment, packed: bytes) -> None:
    name(segment, claim(segment), b"", packed)
    assert [row.attrs for row in Census(segment).sessions()] == [{}]


def test_a_session_whose_peer_nobody_knows(segment: Segment) -> None:
    claim(segment, "")
    assert [row.peer for row in Census(segment).sessions()] == [None]


def test_a_peer_too_long_for_the_table(segment: Segment) -> None:
    path = "unix/:/" + "x" * 200
    claim(segment, path)
    claim(segment, path[:50])
    assert ids(segment, peer=path) == [1]


def test_no_age_is_negative(segment: Segment) -> None:
    claim(segment, connected=NOW.time + 5, last_request=NOW.monotonic + 5)
    (row,) = Census(segment).sessions(now=NOW)
    assert (row.age, row.idle) == (0.0, 0.0)


def crowd(segment: Segment) -> None:
    """Six sessions, 1 to 6, each of its own kind."""
    segment.rows[1].number = 9
    claim(segment, "127.0.0.1:1", uid=1, last_request=NOW.monotonic - 10)
    claim(segment, "10.2.0.1:1", uid=32, row=1, in_flight=5)
    claim(segment, "[fe80::1%eth0]:1", uid=77, type=SessionType.CONSOLE)
    claim(segment, "[::ffff:10.9.9.9]:1", uid=32, connected=NOW.time - 600)
    claim(segment, "unix/:(socket)", uid=32, state=SlotState.CLAIMED, listener=layout.ADOPTED)
    claim(segment, "127.0.0.1:11", uid=1, state=SlotState.CLOSING, last_request=1.0)
    name(segment, 6, b"last")


@pytest.mark.parametrize(
    ("given", "found"),
    [
        ({}, [1, 2, 3, 4, 5, 6]),
        ({"id": 2}, [2]),
        ({"id": [6, 2, 99]}, [2, 6]),
        ({"not_id": [6, 2, 99]}, [1, 3, 4, 5]),
        ({"id": []}, []),
        ({"not_id": []}, [1, 2, 3, 4, 5, 6]),
        ({"user": "ada"}, [2, 4, 5]),
        ({"user": ["admin", "ada"]}, [1, 2, 4, 5, 6]),
        ({"not_user": ["admin", "ada"]}, [3]),
        ({"user": "nobody"}, []),
        ({"uid": 77}, [3]),
        ({"type": "console"}, [3]),
        ({"not_type": "console"}, [1, 2, 4, 5, 6]),
        ({"worker": 9}, [2]),
        ({"worker": 1}, []),
        ({"listener": "new"}, [5]),
        ({"name": "last"}, [6]),
        ({"not_name": "last"}, [1, 2, 3, 4, 5]),
        ({"state": ["claimed", "closing"]}, [5, 6]),
        ({"idle_gt": 10}, [2, 3, 4, 5, 6]),
        ({"idle_gt": 60}, [4, 6]),
        ({"not_idle_gt": 10}, [1]),
        ({"age_gt": 60}, [4]),
        ({"name": ["", "other"]}, [1, 2, 3, 4, 5]),
        ({"user": ""}, [3]),
        ({"in_flight_gt": 4}, [2]),
        ({"in_flight_gt": 5}, []),
        ({"peer": "127.0.0.1:1"}, [1]),
        ({"peer": "127.0.0.1"}, [1, 6]),
        ({"peer": "10.0.0.0/8"}, [2, 4]),
        ({"peer": "::ffff:10.9.9.9"}, [4]),
        ({"peer": "fe80::/10"}, [3]),
        ({"peer": "[fe80::1]"}, [3]),
        ({"peer": "0.0.0.0/0"}, [1, 2, 4, 6]),
        ({"peer": "::/0"}, [3]),
        ({"limit": 0}, []),
        ({"peer": "unix/:(socket)"}, [5]),
        ({"not_peer": ["10.0.0.0/8", "127.0.0.1:1"]}, [3, 5, 6]),
        ({"user": "ada", "not_state": "claimed", "peer": "10.0.0.0/8"}, [2, 4]),
        ({"order": "-id"}, [6, 5, 4, 3, 2, 1]),
        ({"after": 4}, [5, 6]),
        ({"after": 4, "order": "-id", "limit": 2}, [3, 2]),
        ({"limit": 2}, [1, 2]),
        ({"order": "-age"}, [4, 1, 2, 3, 5, 6]),
        ({"order": "idle", "limit": 1}, [1]),
        ({"order": "user"}, [3, 2, 4, 5, 1, 6]),
        ({"order": "-user", "limit": 3}, [1, 6, 2]),
        ({"order": "name"}, [1, 2, 3, 4, 5, 6]),
        ({"order": "-name", "limit": 1}, [6]),
        ({"order": "state"}, [5, 6, 1, 2, 3, 4]),
        ({"order": "peer"}, [2, 1, 6, 4, 3, 5]),
        ({"order": "-in_flight"}, [2, 1, 3, 4, 5, 6]),
    ],
)
def test_filters(segment: Segment, given: dict[str, Any], found: list[int]) -> None:
    crowd(segment)
    assert ids(segment, **given) == found


def test_counts_by_fields(segment: Segment) -> None:
    crowd(segment)
    census = Census(segment, USERS)
    assert census.by("user") == {("ada",): 3, ("admin",): 2, (None,): 1}
    assert census.by("type", "worker", wanted=parse({"user": "ada"})) == {
        ("binary", 0): 2,
        ("binary", 9): 1,
    }


def test_a_table_of_many_chunks(many: Segment) -> None:
    table = SessionTable(many)
    numbers = [table.claim(b"127.0.0.1:%d" % each, each % 2, SALT) for each in range(5000)]
    table.close()
    for number in numbers:
        assert number is not None
        slot = many.slots[number % many.capacity]
        slot.requests = number * 7919 % 5003
    by_requests = sorted(range(1, 5001), key=lambda number: -(number * 7919 % 5003))
    assert ids(many) == numbers
    assert ids(many, order="-requests", limit=10) == by_requests[:10]
    assert ids(many, order="requests", limit=4999) == by_requests[:0:-1]
    assert ids(many, after=4090, limit=10) == list(range(4091, 4101))
    many.rows[1].number = 1
    assert Census(many).by("worker") == {(0,): 2500, (1,): 2500}


def test_ids_in_order_when_slots_are_not(segment: Segment) -> None:
    for _ in range(segment.capacity):
        claim(segment)
    free(segment, 3)
    assert claim(segment) == 11
    assert ids(segment) == [1, 2, 4, 5, 6, 7, 8, 11]


def free(segment: Segment, session: int) -> None:
    """End a session."""
    slot = segment.slots[session % segment.capacity]
    slot.id, slot.state = 0, SlotState.FREE


Change = Callable[[Segment], None]


def _again(segment: Segment) -> None:
    """Another session in the place of the second."""
    segment.slots[2].id = 0
    segment.slots[2].requests = 99
    segment.slots[2].id = 2 + segment.capacity


def _over(segment: Segment) -> None:
    free(segment, 2)


def _renamed(segment: Segment) -> None:
    segment.slots[2].text_version += 2
    name(segment, 2, b"new")


def _begun(segment: Segment) -> None:
    segment.slots[4].id = 4


CHANGES: Mapping[Change, list[tuple[int, int, str | None]]] = {
    _again: [(1, 0, None), (3, 0, None), (10, 99, "old")],
    _over: [(1, 0, None), (3, 0, None)],
    _renamed: [(1, 0, None), (2, 5, "new"), (3, 0, None)],
    _begun: [(1, 0, None), (2, 5, "old"), (3, 0, None), (4, 0, None)],
}


@pytest.mark.parametrize("when", ["before", "after"])
@pytest.mark.parametrize("change", CHANGES, ids=lambda change: change.__name__.strip("_"))
def test_what_changes_while_it_is_copied_is_read_again(
    segment: Segment, monkeypatch: pytest.MonkeyPatch, change: Change, when: str
) -> None:
    for _ in range(3):
        claim(segment)
    segment.slots[2].requests = 5
    name(segment, 2, b"old")
    waiting = [change]

    def copied(slots: memoryview) -> bytes:
        early = bytes(slots)
        if waiting:
            waiting.pop()(segment)
        return early if when == "after" else bytes(slots)

    monkeypatch.setattr(columns, "_copied", copied)
    rows = Census(segment).sessions()
    assert [(row.id, row.requests, row.name) for row in rows] == CHANGES[change]


def test_a_text_that_never_rests_is_not_told(segment: Segment) -> None:
    first, second = claim(segment, requests=4), claim(segment)
    for number in (first, second):
        name(segment, number, b"half")
    segment.slots[first].text_version = 7
    rows = Census(segment).sessions()
    assert [(row.name, row.requests) for row in rows] == [(None, 4), ("half", 0)]
    found = Census(segment).find(first)
    assert found is not None
    assert (found.name, found.requests) == (None, 4)


def test_who_only_looks_sees_what_the_server_writes(segment: Segment) -> None:
    looking = Segment.look(segment.name)
    try:
        assert Census(looking).count() == 0
        claim(segment, requests=3)
        assert [row.requests for row in Census(looking).sessions()] == [3]
        segment.slots[1].requests = 4
        assert [row.requests for row in Census(looking).sessions()] == [4]
        looking.header.refused = 12
        assert segment.header.refused == 0
    finally:
        looking.close()
