"""The counts of an acceptor that was killed: right again before the next one accepts."""

from __future__ import annotations

import pytest

from server import reckoning
from shm.segment import Segment
from shm.sessions import SessionTable
from shm.states import SlotState


@pytest.fixture(autouse=True)
def _short(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(reckoning, "PAUSE", 0.001)


def claim(segment: Segment, table: SessionTable, worker: int) -> int:
    """A session that is handed over."""
    session = table.claim(b"p", worker, bytes(20))
    assert session is not None
    segment.rows[worker].assigned += 1
    return session


def counts(segment: Segment) -> tuple[int, list[int]]:
    return int(segment.header.released), [int(row.assigned) for row in segment.rows[:2]]


def test_what_was_not_counted(segment: Segment, table: SessionTable) -> None:
    for worker in (0, 1, 0, 1):
        claim(segment, table, worker)
    table.release(4)
    segment.rows[1].assigned -= 1
    segment.slots[1].state = SlotState.LIVE
    table.reclaim(0, frozenset({SlotState.LIVE}))
    right = counts(segment)
    assert right == (1, [2, 1])
    # It died behind a claim, behind a message to a worker, and before its last count.
    segment.header.claimed += 1
    segment.rows[0].assigned -= 1
    segment.header.released -= 1
    assert table.live() == 4
    reckoning.settle(segment, table)
    assert table.live() == 2
    assert counts(segment) == (2, [2, 1])
    assert segment.rows[0].assigned - segment.rows[0].freed - segment.rows[0].reclaimed == 1


def test_nothing_is_changed_that_is_right(segment: Segment, table: SessionTable) -> None:
    reckoning.settle(segment, table)
    assert counts(segment) == (0, [0, 0])
    claim(segment, table, 1)
    reckoning.settle(segment, table)
    assert counts(segment) == (0, [0, 1])


def test_while_sessions_end_it_waits(
    segment: Segment, table: SessionTable, monkeypatch: pytest.MonkeyPatch
) -> None:
    for _ in range(6):
        claim(segment, table, 0)
    segment.header.claimed += 1
    held = table.held

    def end_one(workers: range) -> list[int]:
        """Each of the first looks sees a slot free that is counted a little later."""
        found = held(workers)
        if segment.rows[0].freed < 4:
            slot = segment.slots[int(segment.rows[0].freed) + 1]
            slot.id, slot.state = 0, SlotState.FREE
            found = held(workers)
            segment.rows[0].freed += 1
        return found

    monkeypatch.setattr(table, "held", end_one)
    reckoning.settle(segment, table)
    assert (table.live(), counts(segment)) == (2, (1, [6, 0]))


def test_without_a_quiet_moment_nothing_changes(
    segment: Segment, table: SessionTable, monkeypatch: pytest.MonkeyPatch
) -> None:
    claim(segment, table, 0)
    segment.header.claimed += 1
    held = table.held

    def busy(workers: range) -> list[int]:
        segment.rows[0].freed += 1
        return held(workers)

    monkeypatch.setattr(table, "held", busy)
    reckoning.settle(segment, table)
    assert counts(segment) == (0, [1, 0])
