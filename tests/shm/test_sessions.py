"""The session table against a plain dictionary, and the corners one by one."""

from __future__ import annotations

import secrets
from typing import Any

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from shm import layout
from shm.segment import Segment
from shm.sessions import LostSession, Reclaimed, SessionTable
from shm.states import ForbiddenTransitionError, SessionType, SlotState

SALT = bytes(range(layout.SALT_BYTES))
HELD = frozenset({SlotState.LIVE, SlotState.CLOSING})
ALL = HELD | {SlotState.CLAIMED}


def end(segment: Segment, session: int) -> None:
    """What a worker does to end a session."""
    slot = segment.slots[session % segment.capacity]
    slot.state = SlotState.CLOSING
    slot.id = 0
    slot.state = SlotState.FREE
    segment.rows[slot.worker].freed += 1


def fill(table: SessionTable, worker: int = 0) -> list[int]:
    """Claim every free slot."""
    ids = [table.claim(b"127.0.0.1:1", worker, SALT) for _ in range(table.capacity)]
    return [number for number in ids if number is not None]


def test_claim_fills_the_slot(segment: Segment, table: SessionTable) -> None:
    assert table.claim(b"[::1]:55457", 1, SALT, 2, SessionType.CONSOLE) == 1
    slot = segment.slots[1]
    assert (slot.id, slot.state, slot.worker, slot.listener) == (1, SlotState.CLAIMED, 1, 2)
    assert bytes(slot.salt) == SALT
    found = table.read(1)
    assert found is not None
    assert (found.id, found.state, found.worker) == (1, SlotState.CLAIMED, 1)
    assert (found.type, found.listener, found.peer) == (SessionType.CONSOLE, 2, "[::1]:55457")
    assert 0 <= found.connected - segment.header.started < 60


def test_claim_clears_the_figures_of_the_last_session(
    segment: Segment, table: SessionTable
) -> None:
    slot = segment.slots[1]
    slot.requests, slot.uid, slot.reason, slot.name_len, slot.text = 9, 31, 4, 3, b"abc"
    assert table.claim(b"p", 0, SALT) == 1
    assert (slot.requests, slot.uid, slot.reason, slot.name_len, slot.text) == (0, 0, 0, 0, b"")


def test_a_long_peer_is_cut(table: SessionTable) -> None:
    table.claim(b"unix/:" + b"x" * 200, 0, SALT)
    assert table.peer(1) == "unix/:" + "x" * (layout.PEER_BYTES - 6)


def test_ids_start_at_one_and_count(table: SessionTable) -> None:
    assert fill(table) == [1, 2, 3, 4, 5, 6, 7, 8]


def test_full_table(segment: Segment, table: SessionTable) -> None:
    fill(table)
    assert table.claim(b"p", 0, SALT) is None
    assert segment.header.last_id == 8
    end(segment, 5)
    assert table.claim(b"p", 0, SALT) == 13


def test_taken_slots_are_skipped(segment: Segment, table: SessionTable) -> None:
    fill(table)
    end(segment, 3)
    end(segment, 8)
    assert [table.claim(b"p", 0, SALT) for _ in range(3)] == [11, 16, None]
    assert not table.exists(3)
    assert table.exists(11)


def test_many_taken_slots_are_skipped(segment_name: str) -> None:
    segment = Segment.create(segment_name, 100, 1)
    table = SessionTable(segment)
    fill(table)
    end(segment, 70)
    end(segment, 30)
    assert [table.claim(b"p", 0, SALT) for _ in range(3)] == [130, 170, None]
    end(segment, 130)
    assert table.claim(b"p", 0, SALT) == 230
    table.close()
    segment.close()


def test_large_ids_are_exact(segment: Segment, table: SessionTable) -> None:
    segment.header.last_id = (1 << 46) - 2
    assert table.claim(b"p", 0, SALT) == (1 << 46) - 1
    assert table.claim(b"p", 0, SALT) == 1 << 46
    assert table.exists(1 << 46)


@pytest.mark.parametrize("session", [0, -1, -7, 2, 9, 1 + (1 << 53), 1 << 64])
def test_a_session_that_is_not_there(table: SessionTable, session: int) -> None:
    table.claim(b"p", 0, SALT)
    assert not table.exists(session)
    assert table.peer(session) is None


def test_a_new_table_goes_on_counting(segment: Segment, table: SessionTable) -> None:
    table.claim(b"p", 0, SALT)
    again = SessionTable(segment)
    assert again.claim(b"p", 0, SALT) == 2
    again.close()


def test_release(segment: Segment, table: SessionTable) -> None:
    table.claim(b"p", 0, SALT)
    table.release(1)
    assert not table.exists(1)
    assert table.live() == 0
    assert segment.header.released == 1
    assert table.claim(b"p", 0, SALT) == 2


def test_release_of_a_live_session_is_a_bug(segment: Segment, table: SessionTable) -> None:
    table.claim(b"p", 0, SALT)
    segment.slots[1].state = SlotState.LIVE
    with pytest.raises(ForbiddenTransitionError):
        table.release(1)
    assert table.exists(1)


def test_reclaim_takes_what_the_dead_worker_held(segment: Segment, table: SessionTable) -> None:
    for worker in (0, 1, 0, 1, 0):
        table.claim(b"p", worker, SALT)
    segment.slots[1].state = SlotState.LIVE
    segment.slots[2].state = SlotState.LIVE
    segment.slots[3].state = SlotState.CLOSING
    assert table.reclaim(0, HELD).ids == [1, 3]
    assert [found.id for found in table.sessions()] == [2, 4, 5]
    assert table.reclaim(0, frozenset({SlotState.CLAIMED})).ids == [5]
    assert segment.rows[0].reclaimed == 3
    assert table.live() == 2


def test_reclaim_takes_a_slot_whose_worker_died_while_freeing_it(
    segment: Segment, table: SessionTable
) -> None:
    fill(table)
    segment.slots[4].state = SlotState.CLOSING
    segment.slots[4].id = 0
    assert table.reclaim(0, HELD) == Reclaimed([0], [])
    assert table.claim(b"p", 0, SALT) == 12


def test_a_slot_whose_worker_died_before_it_counted_it(
    segment: Segment, table: SessionTable
) -> None:
    for _ in range(3):
        table.claim(b"p", 1, SALT)
        segment.rows[1].assigned += 1
    end(segment, 1)
    end(segment, 2)
    segment.rows[1].freed -= 1
    segment.slots[3].state = SlotState.LIVE
    table.reclaim(1, ALL)
    assert table.live() == 1
    for _ in range(2):
        table.settle(1)
        assert table.live() == 0


def test_slots_by_worker(segment: Segment, table: SessionTable) -> None:
    assert table.held([0, 1]) == [0, 0]
    for worker in (0, 1, 0):
        table.claim(b"p", worker, SALT)
    segment.slots[1].state = SlotState.CLOSING
    segment.slots[1].id = 0
    segment.slots[2].state = SlotState.LIVE
    assert table.held([1, 0]) == [1, 2]


def test_reclaim_tells_what_the_live_ones_were(segment: Segment, table: SessionTable) -> None:
    for listener, peer in enumerate((b"127.0.0.1:4000", b"\xff" * 200, b"claimed", b"closing")):
        table.claim(peer, 0, SALT, listener)
    for number, uid in ((1, 32), (2, 0xFFFFFFFF), (4, 7)):
        segment.slots[number].state = SlotState.LIVE if number < 4 else SlotState.CLOSING
        segment.slots[number].uid = uid
        segment.slots[number].opened = 1 << 31
        segment.slots[number].reason = 9
    found = table.reclaim(0, ALL)
    assert found.ids == [1, 2, 3, 4]
    assert found.lost == [
        LostSession(1, 32, SessionType.BINARY, 0, b"127.0.0.1:4000", 9),
        LostSession(2, 0xFFFFFFFF, SessionType.BINARY, 1, b"\xff" * layout.PEER_BYTES, 9),
    ]
    assert table.reclaim(0, ALL) == Reclaimed([], [])


def test_reclaim_counts_those_whose_end_was_not_counted(
    segment: Segment, table: SessionTable
) -> None:
    for _ in range(4):
        table.claim(b"p", 0, SALT)
    segment.slots[1].state = segment.slots[2].state = SlotState.LIVE
    # Ended, and its on_disconnect runs; ended, and a request of it runs; on its way to the
    # worker.
    segment.slots[2].fd = 0xFFFFFFFF
    segment.slots[3].state = SlotState.CLOSING
    table.reclaim(0, ALL)
    assert (segment.rows[0].reclaimed, segment.rows[0].lost) == (4, 2)


def test_a_session_whose_on_connect_has_not_begun_is_not_lost(
    segment: Segment, table: SessionTable
) -> None:
    for number, opened in ((1, 0), (2, 1)):
        table.claim(b"p", 0, SALT)
        segment.slots[number].state = SlotState.LIVE
        segment.slots[number].opened = opened
    found = table.reclaim(0, ALL)
    assert found.ids == [1, 2]
    assert [session.id for session in found.lost] == [2]


def test_reclaim_up_to_the_newest_id(segment: Segment, table: SessionTable) -> None:
    fill(table, worker=1)
    segment.slots[7].id = 0
    freed = table.reclaim(1, frozenset({SlotState.CLAIMED}), newest=3).ids
    assert freed == [1, 2, 3, 0]
    assert [found.id for found in table.sessions()] == [8, 4, 5, 6]


def test_reclaim_finds_its_slots_in_a_large_table(segment_name: str) -> None:
    segment = Segment.create(segment_name, 1_000_000, 255)
    table = SessionTable(segment)
    for worker in (254, 1, 254):
        table.claim(b"p", worker, SALT)
    assert table.reclaim(254, ALL, 0).ids == []
    assert table.reclaim(254, ALL, 3).ids == [1, 3]
    assert [found.id for found in (table.read(1), table.read(2)) if found] == [2]
    table.close()
    segment.close()


def test_a_half_made_claim_is_not_visible(segment: Segment, table: SessionTable) -> None:
    table.claim(b"p", 0, SALT)
    segment.slots[1].id = 0
    assert table.read(1) is None
    assert list(table.sessions()) == []
    assert table.peer(0) is None


class Model(RuleBasedStateMachine):
    """The table beside a dictionary that always tells the truth."""

    def __init__(self) -> None:
        super().__init__()
        self.segment = Segment.create(f"beespace-test-{secrets.token_hex(6)}", 5, 3)
        self.table = SessionTable(self.segment)
        self.truth: dict[int, dict[str, Any]] = {}
        self.last = 0

    def teardown(self) -> None:
        self.table.close()
        self.segment.close()

    def slot(self, session: int) -> Any:
        return self.segment.slots[session % 5]

    def some(self, data: st.DataObject, *states: SlotState) -> int | None:
        """A session in one of the states."""
        ids = [number for number, facts in self.truth.items() if facts["state"] in states]
        return data.draw(st.sampled_from(ids)) if ids else None

    @rule(peer=st.text("ab:1é", max_size=20), worker=st.integers(0, 2))
    def claim(self, peer: str, worker: int) -> None:
        new = self.table.claim(peer.encode(), worker, SALT)
        taken = {number % 5 for number in self.truth}
        if new is None:
            assert len(taken) == 5
            return
        skipped = {number % 5 for number in range(self.last + 1, new)}
        assert new > self.last
        assert skipped <= taken
        assert new % 5 not in taken
        self.last = new
        self.truth[new] = {"peer": peer, "worker": worker, "state": SlotState.CLAIMED}

    @rule(data=st.data())
    @precondition(lambda self: self.truth)
    def open(self, data: st.DataObject) -> None:
        session = self.some(data, SlotState.CLAIMED)
        if session is not None:
            self.slot(session).state = SlotState.LIVE
            self.truth[session]["state"] = SlotState.LIVE

    @rule(data=st.data())
    @precondition(lambda self: self.truth)
    def end(self, data: st.DataObject) -> None:
        session = self.some(data, SlotState.LIVE)
        if session is not None:
            end(self.segment, session)
            del self.truth[session]

    @rule(data=st.data())
    @precondition(lambda self: self.truth)
    def release(self, data: st.DataObject) -> None:
        session = self.some(data, SlotState.CLAIMED)
        if session is not None:
            self.table.release(session)
            del self.truth[session]

    @rule(worker=st.integers(0, 2), wanted=st.sampled_from([HELD, ALL]))
    def reclaim(self, worker: int, wanted: frozenset[SlotState]) -> None:
        dead = {
            number
            for number, facts in self.truth.items()
            if facts["worker"] == worker and facts["state"] in wanted
        }
        assert set(self.table.reclaim(worker, wanted).ids) == dead
        for number in dead:
            del self.truth[number]

    @invariant()
    def table_tells_the_truth(self) -> None:
        for session in range(-1, self.last + 7):
            assert self.table.exists(session) == (session in self.truth)
            assert self.table.peer(session) == self.truth.get(session, {}).get("peer")
        assert self.table.live() == len(self.truth)
        found = {
            session.id: {"peer": session.peer, "worker": session.worker, "state": session.state}
            for session in self.table.sessions()
        }
        assert found == self.truth


TestModel = Model.TestCase
TestModel.settings = settings(
    max_examples=40, stateful_step_count=30, deadline=None, derandomize=True
)


def test_whether_a_worker_holds_slots(table: SessionTable) -> None:
    assert not table.holds(1)
    session = table.claim(b"peer", 1, SALT)
    assert session is not None
    assert (table.holds(0), table.holds(1)) == (False, True)
    table.release(session)
    assert not table.holds(1)
