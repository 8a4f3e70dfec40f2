"""Connections to workers: who gets them, in what order, and what happens when nobody takes them."""

from __future__ import annotations

import errno
import os
import socket
import time
from collections.abc import Iterator

import pytest

from server.handover import LOOK, STALLED, Arrival, Handover, Outcome
from shm import channel, layout
from shm.segment import Segment
from shm.sessions import SessionTable
from shm.states import SessionType


class Side:
    """A handover over a segment of 8 slots and the workers' ends of two intakes."""

    def __init__(self, segment: Segment, table: SessionTable) -> None:
        self.segment = segment
        self.table = table
        self.handover = Handover(table, segment)
        self.ends: list[socket.socket] = []
        for index in range(2):
            ours, theirs = channel.pair()
            theirs.setblocking(False)
            self.handover.add(index, ours)
            self.ends.append(theirs)

    def arrivals(self, count: int) -> list[Arrival]:
        return [Arrival(os.dup(0), f"127.0.0.1:{n}".encode(), n % 2) for n in range(count)]

    def taken(self, index: int) -> list[int]:
        """Ids in the next message to a worker."""
        payload, fds, _, _ = socket.recv_fds(self.ends[index], 65536, channel.MAX_FDS)
        for fd in fds:
            os.close(fd)
        ids = [int.from_bytes(payload[at : at + 8], "little") for at in range(0, len(payload), 8)]
        assert len(ids) == len(fds)
        return ids

    def close(self) -> None:
        for worker in list(self.handover.workers()):
            worker.intake.close()
        for end in self.ends:
            end.close()


@pytest.fixture
def side(segment: Segment) -> Iterator[Side]:
    # A mapping of its own, as in the acceptor's process, which never closes it.
    attached = Segment.attach(segment.name)
    made = Side(attached, SessionTable(attached))
    yield made
    made.close()


def open_descriptors() -> int:
    return len(os.listdir("/proc/self/fd"))


def test_a_batch_is_spread_and_claimed_in_order(side: Side) -> None:
    before = open_descriptors()
    outcome = side.handover.deliver(side.arrivals(4))
    assert (outcome.waiting, outcome.refused, outcome.choked) == ([], [], [])
    assert sorted([side.taken(0), side.taken(1)]) == [[1, 3], [2, 4]]
    assert open_descriptors() == before
    sessions = {session.id: session for session in side.table.sessions()}
    assert [sessions[n].peer for n in (1, 2, 3, 4)] == [f"127.0.0.1:{n}" for n in range(4)]
    assert [sessions[n].listener for n in (1, 2, 3, 4)] == [0, 1, 0, 1]
    assert [row.assigned for row in side.segment.rows[:2]] == [2, 2]


def test_salts_differ(side: Side) -> None:
    side.handover.deliver(side.arrivals(4))
    salts = {bytes(side.segment.slots[slot].salt) for slot in (1, 2, 3, 4)}
    assert len(salts) == 4


def test_the_worker_with_fewer_sessions_comes_first(side: Side) -> None:
    row = side.segment.rows[0]
    row.assigned, row.freed, row.reclaimed = 9, 5, 1
    side.handover.deliver(side.arrivals(4))
    assert side.taken(1) == [1, 2, 3]
    assert side.taken(0) == [4]


def test_equal_sessions_are_decided_by_cpu(side: Side) -> None:
    side.segment.rows[0].cpu_permille = 900
    side.handover.deliver(side.arrivals(1))
    assert side.taken(1) == [1]


def test_a_worker_that_is_stuck_in_a_request_comes_last(
    side: Side, monkeypatch: pytest.MonkeyPatch
) -> None:
    began = time.monotonic()
    now = began
    monkeypatch.setattr(time, "monotonic", lambda: now)
    rows = side.segment.rows
    rows[1].assigned = 3
    while now < began + 2 * STALLED:
        now += LOOK
        rows[1].heartbeat += 1
        side.handover.look(now)
    side.handover.deliver(side.arrivals(2))
    assert side.taken(1) == [1, 2]
    rows[0].heartbeat += 1
    # More than LOOK: the sum of a clock and a short time is rounded.
    now += 2 * LOOK
    side.handover.deliver(side.arrivals(2))
    assert side.taken(0) == [3, 4]
    now += 2 * STALLED
    side.handover.deliver(side.arrivals(1))
    assert side.taken(0) == [5], "when all are stuck the rest decides"


def test_equal_workers_take_turns(side: Side) -> None:
    for session in range(1, 5):
        side.handover.deliver(side.arrivals(1))
        assert side.taken((session - 1) % 2) == [session]
        side.table.release(session)
        side.segment.rows[(session - 1) % 2].freed += 1


def test_a_full_worker_is_passed_over(side: Side) -> None:
    full = next(worker for worker in side.handover.workers() if worker.index == 0)
    try:
        while True:
            full.intake.send(b"x" * 1000)
    except BlockingIOError:
        pass
    outcome = side.handover.deliver(side.arrivals(4))
    assert outcome.choked == [full]
    assert not outcome.scarce
    assert outcome.waiting == []
    assert len(side.taken(1)) == 2
    assert len(side.taken(1)) == 2
    assert side.table.live() == 4
    assert side.segment.rows[0].assigned == 0


def test_a_dead_worker_is_passed_over(side: Side) -> None:
    side.ends[0].close()
    outcome = side.handover.deliver(side.arrivals(2))
    assert (outcome.waiting, outcome.choked) == ([], [])
    assert side.taken(1)
    assert side.taken(1)
    assert {session.worker for session in side.table.sessions()} == {1}


def test_connections_wait_without_a_slot_when_no_worker_is_up(side: Side) -> None:
    side.ends[0].close()
    side.ends[1].close()
    arrivals = side.arrivals(3)
    outcome = side.handover.deliver(arrivals)
    assert sorted(outcome.waiting) == arrivals
    assert list(side.table.sessions()) == []
    assert side.table.live() == 0
    for arrival in outcome.waiting:
        os.close(arrival.fd)


def test_what_does_not_fit_the_table_is_refused(side: Side) -> None:
    outcome = side.handover.deliver(side.arrivals(10))
    assert [arrival.peer for arrival in outcome.refused] == [b"127.0.0.1:8", b"127.0.0.1:9"]
    assert side.table.live() == 8
    for arrival in outcome.refused:
        os.close(arrival.fd)


def test_a_system_short_of_descriptors_is_tried_again_later(
    side: Side, monkeypatch: pytest.MonkeyPatch
) -> None:
    def too_many(*_: object) -> None:
        raise OSError(errno.ETOOMANYREFS, "too many references")

    monkeypatch.setattr(channel, "send_fds", too_many)
    outcome = side.handover.deliver(side.arrivals(2))
    assert outcome.scarce
    assert len(outcome.waiting) == 2
    for arrival in outcome.waiting:
        os.close(arrival.fd)


@pytest.mark.parametrize("field", ["control_listener", "own_console"])
def test_the_last_slots_are_kept_for_our_own_sockets(
    segment: Segment, table: SessionTable, field: str
) -> None:
    segment.header.reserved = 2
    setattr(segment.header, field, 1)
    attached = Segment.attach(segment.name)
    side = Side(attached, SessionTable(attached))
    clients = [Arrival(os.dup(0), b"client", 0) for _ in range(8)]
    owners = [Arrival(os.dup(0), b"owner", 1) for _ in range(3)]
    outcome = side.handover.deliver([*clients, *owners])
    assert outcome.refused == [*clients[6:], owners[2]]
    assert sorted(s.peer for s in table.sessions()) == ["client"] * 6 + ["owner"] * 2
    for arrival in outcome.refused:
        os.close(arrival.fd)
    side.close()


def test_what_came_through_a_console_is_one(segment: Segment, table: SessionTable) -> None:
    segment.header.first_console, segment.header.consoles = 1, 2
    attached = Segment.attach(segment.name)
    side = Side(attached, SessionTable(attached))
    listeners = [0, 1, 2, 3, layout.ADOPTED]
    side.handover.deliver([Arrival(os.dup(0), b"", number) for number in listeners])
    found = {session.listener: session.type for session in table.sessions()}
    binary = dict.fromkeys((0, 3, layout.ADOPTED), SessionType.BINARY)
    assert found == {1: SessionType.CONSOLE, 2: SessionType.CONSOLE, **binary}
    side.close()


def test_nobody_gets_more_than_its_descriptors_allow(side: Side) -> None:
    side.handover._limit = 64 + 2
    rows = side.segment.rows
    outcome = side.handover.deliver(side.arrivals(6))
    assert [len(side.taken(index)) for index in (0, 1)] == [2, 2]
    assert (len(outcome.waiting), outcome.roomless) == (2, True)
    # The socket of a session that has ended is still there, then it is not.
    rows[0].kept, rows[0].freed = 1, 1
    outcome = side.handover.deliver(outcome.waiting)
    assert len(outcome.waiting) == 2
    rows[0].kept = 0
    outcome = side.handover.deliver(outcome.waiting)
    assert len(side.taken(0)) == len(outcome.waiting) == 1
    # What the application has open leaves less for sessions.
    rows[0].freed, rows[0].own_fds = 3, 50
    outcome = side.handover.deliver(outcome.waiting)
    assert len(outcome.waiting) == 1
    rows[0].own_fds = 47
    assert side.handover.deliver(outcome.waiting) == Outcome()
    assert len(side.taken(0)) == 1


def test_the_staff_may_have_the_last_descriptors(segment: Segment, table: SessionTable) -> None:
    segment.header.first_console, segment.header.consoles = 1, 1
    attached = Segment.attach(segment.name)
    side = Side(attached, SessionTable(attached))
    side.handover._limit = 64 + 1
    arrivals = [Arrival(os.dup(0), b"", number) for number in (0, 0, 0, 1)]
    outcome = side.handover.deliver(arrivals)
    assert [arrival.listener for arrival in outcome.waiting] == [0, 0]
    assert sorted(session.listener for session in table.sessions()) == [0, 1]
    for arrival in outcome.waiting:
        os.close(arrival.fd)
    side.close()


def test_a_worker_that_drains_gets_only_what_it_has_offered(side: Side) -> None:
    side.handover.spare(0)
    side.handover.spare(7)
    assert side.handover.deliver(side.arrivals(3)).waiting == []
    assert side.taken(1) == [1, 2, 3]
    offer = Arrival(os.dup(0), b"peer", layout.ADOPTED, 0, 5)
    assert side.handover.deliver([offer]).held == []
    payload = side.ends[0].recv(100)
    assert [payload[at] for at in (0, 8, 16)] == [0, 4, 5]
    side.handover.spare(1)
    outcome = side.handover.deliver(side.arrivals(2))
    assert len(outcome.waiting) == 2
    for arrival in outcome.waiting:
        os.close(arrival.fd)
