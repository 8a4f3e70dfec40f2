"""Orders reach the worker that has the session, concern no other session, and do not weaken."""

from __future__ import annotations

import pytest

from shm import orders
from shm.layout import ID_BITS
from shm.orders import Order, Wish
from shm.segment import Segment
from shm.sessions import SessionTable
from shm.states import EndReason, SlotState


@pytest.fixture
def table(segment: Segment) -> SessionTable:
    """Sessions 1 and 3 of worker 0, session 2 of worker 1."""
    made = SessionTable(segment)
    for worker in (0, 1, 0):
        made.claim(b"127.0.0.1:1", worker, bytes(20))
    return made


def test_an_order_reaches_its_worker(segment: Segment, table: SessionTable) -> None:
    assert orders.place(segment, [1, 3], Wish.KILL) == [1, 3]
    assert list(orders.waiting(segment, 0)) == [Order(1, Wish.KILL), Order(3, Wish.KILL)]
    assert list(orders.waiting(segment, 1)) == []
    assert segment.rows[0].alarm != 0
    assert segment.rows[1].alarm == 0
    table.close()


def test_the_first_order_is_marked(segment: Segment, table: SessionTable) -> None:
    assert orders.place(segment, [7], Wish.KILL) == []
    assert segment.header.ordered == 0
    orders.place(segment, [2], Wish.CANCEL)
    assert segment.header.ordered == 1
    table.close()


def test_each_order_raises_another_alarm(segment: Segment, table: SessionTable) -> None:
    orders.place(segment, [2], Wish.CANCEL)
    first = segment.rows[1].alarm
    orders.place(segment, [2], Wish.CANCEL)
    assert segment.rows[1].alarm != first
    table.close()


@pytest.mark.parametrize("session", [-1, 0, 4, 9, 2**53 - 1])
def test_a_session_that_does_not_exist_is_not_counted(
    segment: Segment, table: SessionTable, session: int
) -> None:
    assert orders.place(segment, [session, 2], Wish.KILL) == [2]
    assert list(orders.waiting(segment, 0)) == []
    table.close()


def test_an_order_ends_with_its_session(segment: Segment, table: SessionTable) -> None:
    orders.place(segment, [2], Wish.KILL)
    table.release(2)
    for _ in range(8):
        table.claim(b"127.0.0.1:2", 1, bytes(20))
    assert segment.slots[2].id == 10
    assert list(orders.waiting(segment, 1)) == []
    table.close()


def test_an_end_is_not_taken_back_for_less(segment: Segment, table: SessionTable) -> None:
    orders.place(segment, [1], Wish.CANCEL)
    orders.place(segment, [1], Wish.KILL)
    orders.place(segment, [1], Wish.CANCEL)
    assert list(orders.waiting(segment, 0)) == [Order(1, Wish.KILL)]
    table.close()


def test_what_was_done_is_left_no_more(segment: Segment, table: SessionTable) -> None:
    orders.place(segment, [1], Wish.CANCEL)
    orders.place(segment, [2, 3], Wish.KILL)
    assert orders.left(segment, [1], Wish.CANCEL) == [1]
    assert orders.left(segment, [2, 3], Wish.KILL) == [2, 3]
    for row in (0, 1):
        for order in orders.waiting(segment, row):
            orders.done(segment, order)
    assert orders.left(segment, [1], Wish.CANCEL) == []
    assert orders.left(segment, [2, 3], Wish.KILL) == []
    assert list(orders.waiting(segment, 0)) == []
    assert orders.is_killed(segment, 3)
    assert not orders.is_killed(segment, 1)
    table.close()


def test_what_is_done_was_not_the_order_that_came_meanwhile(
    segment: Segment, table: SessionTable
) -> None:
    orders.place(segment, [1], Wish.CANCEL)
    orders.place(segment, [1], Wish.KILL)
    orders.done(segment, Order(1, Wish.CANCEL))
    assert list(orders.waiting(segment, 0)) == [Order(1, Wish.KILL)]
    table.close()


def test_an_end_that_was_lost_is_ordered_again(segment: Segment, table: SessionTable) -> None:
    orders.place(segment, [1], Wish.KILL)
    segment.orders[1].word = 1 | Wish.CANCEL << ID_BITS
    segment.rows[0].alarm = 0
    assert orders.left(segment, [1], Wish.KILL) == [1]
    assert list(orders.waiting(segment, 0)) == [Order(1, Wish.KILL)]
    assert segment.rows[0].alarm != 0
    table.close()


def test_what_has_ended_is_not_waited_for(segment: Segment, table: SessionTable) -> None:
    orders.place(segment, [1, 2], Wish.KILL)
    table.release(1)
    assert orders.left(segment, [1, 2], Wish.KILL) == [2]
    table.close()


@pytest.mark.parametrize(("wish", "placed"), [(Wish.KILL, []), (Wish.CANCEL, [1])])
def test_what_ends_already_is_not_ended(
    segment: Segment, table: SessionTable, wish: Wish, placed: list[int]
) -> None:
    segment.slots[1].state = SlotState.CLOSING
    assert orders.place(segment, [1], wish) == placed
    segment.slots[1].state = SlotState.LIVE
    table.close()


def test_what_was_cut_off_gets_no_orders(segment: Segment, table: SessionTable) -> None:
    orders.place(segment, [1], Wish.KILL)
    orders.done(segment, Order(1, Wish.KILL))
    for wish in (Wish.KILL, Wish.CANCEL):
        assert orders.place(segment, [1], wish) == []
    assert orders.is_killed(segment, 1)
    table.close()


def test_a_session_that_was_to_end_is_reclaimed_as_killed(
    segment: Segment, table: SessionTable
) -> None:
    for session in (1, 3):
        segment.slots[session].state = SlotState.LIVE
        segment.slots[session].opened = 1
    orders.place(segment, [3], Wish.KILL)
    found = table.reclaim(0, frozenset({SlotState.LIVE}))
    assert [(lost.id, lost.reason) for lost in found.lost] == [
        (1, EndReason.NONE),
        (3, EndReason.KILLED),
    ]
    table.close()


def test_the_largest_id_has_room(segment: Segment) -> None:
    last = 2**ID_BITS - 1
    segment.slots[last % segment.capacity].id = last
    assert orders.place(segment, [last], Wish.KILL) == [last]
    assert list(orders.waiting(segment, 0)) == [Order(last, Wish.KILL)]
