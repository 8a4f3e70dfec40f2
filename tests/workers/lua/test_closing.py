"""How orders reach a worker: from itself, over the bus, by the ring, and before the session."""

from __future__ import annotations

import contextlib
import os
import socket
from collections.abc import Iterator

import pytest

from shm import orders
from shm.layout import ID_BITS
from shm.orders import Wish
from shm.states import SlotState
from tests.helpers.engine import Engine, error_of
from tests.helpers.journal import on, seen
from tests.helpers.kills import (
    CANCELLED,
    WAIT,
    cancel,
    claim,
    engine_with_notes,
    settle,
)
from tests.helpers.raw import GREETING_SIZE
from tests.helpers.requests import evaluation


@pytest.fixture
def engine() -> Iterator[Engine]:
    with engine_with_notes() as made:
        yield made


@pytest.mark.parametrize("has_on_connect", [False, True])
def test_one_whose_connection_is_on_the_way(engine: Engine, has_on_connect: bool) -> None:
    with engine.connect() as client:
        if has_on_connect:
            on(engine, "connect", "box.session.storage.mine = 'mine' fiber.sleep(0)")
        session = claim(engine)
        client.send(evaluation(1, "return box.session.kill(...)", session))
        engine.run()
        assert engine.slot(session).state == SlotState.CLAIMED
        end, other = socket.socketpair()
        engine.hand_over(session, other.fileno())
        other.close()
        (answer,) = client.answers(b"", 1)
        assert answer.data == [1]
        engine.run_until(lambda: not engine.table.exists(session))
        assert seen(engine) == [f"{session} killed {'mine' if has_on_connect else 'nil'}"]
        end.close()


def test_words_are_left_alone_until_the_first_order(engine: Engine) -> None:
    with engine.connect() as one, engine.connect() as client:
        # A word that nobody ordered: it would end the session.
        engine.segment.orders[one.id % engine.segment.capacity].word = one.id | Wish.KILL << ID_BITS
        one.close()
        engine.run_until(lambda: not engine.table.exists(one.id))
        assert seen(engine) == [f"{one.id} client nil"]
        other = engine.connect()
        client.answers(evaluation(1, "return box.session.kill(...)", other.id), 1)
        assert engine.segment.header.ordered == 1
        assert seen(engine) == [f"{other.id} killed nil"]


def test_one_whose_connection_does_not_come(engine: Engine) -> None:
    with engine.connect() as client:
        session = claim(engine)
        source = "return box.session.%s(..., {timeout = 0.05})"
        (answer,) = client.answers(evaluation(1, source % "kill", session), 1)
        text = f"session {session} did not end within 0.05 s: worker 0 (process 0) does not answer"
        assert error_of(answer) == (78, f"{text}; it ends as soon as that goes on")
        assert orders.is_killed(engine.segment, session)


def test_nothing_runs_for_one_whose_connection_is_on_the_way(engine: Engine) -> None:
    with engine.connect() as client:
        assert cancel(client, claim(engine)) == 1


MANY = """
local others = 0
local counting = fiber.create(function() while true do fiber.sleep(0) others = others + 1 end end)
local count = box.session.kill{not_id = box.session.id()}
counting:cancel()
return count, others > 1
"""


def test_many_sessions_are_ended_in_parts() -> None:
    with engine_with_notes(capacity=512) as large, large.connect() as client:
        clients = [large.connect() for _ in range(250)]
        (answer,) = client.answers(evaluation(1, MANY), 1)
        assert answer.data == [len(clients), True]
        assert len(settle(large, *clients)) == len(clients)


def test_the_ring_has_the_loop_look_for_orders(engine: Engine) -> None:
    clients = [engine.connect() for _ in range(5)]
    clients[1].send(evaluation(1, WAIT))
    assert orders.place(engine.segment, [clients[0].id, clients[2].id], Wish.KILL) != []
    orders.place(engine.segment, [clients[1].id], Wish.CANCEL)
    engine.run()
    assert all(each.exists for each in clients)
    os.eventfd_write(engine.bell, 1)
    engine.run()
    assert [each.exists for each in clients] == [False, True, False, True, True]
    (answer,) = clients[1].answers(b"", 1)
    assert error_of(answer) == CANCELLED
    assert engine.execute("return require('beespace.engine.orders').find({}, 9, 0)")[0] == 0
    for client in clients[3:]:
        assert client.in_step()


def test_orders_for_more_sessions_than_one_part_has(engine: Engine) -> None:
    """Those of others are passed over, and some are placed while the loop looks."""
    with Engine(capacity=512, warm=False) as large:
        clients = [large.connect() for _ in range(250)]
        orders.place(large.segment, [each.id for each in clients[:-1]], Wish.KILL)
        clients[0].slot.worker = 3
        os.eventfd_write(large.bell, 1)
        large.turn()
        orders.place(large.segment, [clients[-1].id], Wish.KILL)
        os.eventfd_write(large.bell, 1)
        large.run()
        assert [each.exists for each in clients] == [True] + [False] * 249
        clients[0].slot.worker = 0


TELL_ITSELF = """
local bus, ffi = require('beespace.engine.bus'), require('ffi')
local id = ffi.new('uint64_t[1]', ...)
bus.send(0, bus.KIND.KILL, ffi.string(id, 8))
bus.flush()
"""


@pytest.mark.parametrize("last", ["end", "request"])
def test_what_was_found_of_an_old_session_is_no_new_ones(engine: Engine, last: str) -> None:
    """One wait finds the order, a connection, and the last word of the old one, in this order."""
    old = engine.connect()
    on(engine, "connect", "fiber.sleep(0) connected = true")
    number = old.fd
    with contextlib.ExitStack() as stack:
        while (hole := os.open(os.devnull, os.O_RDONLY)) < number:
            stack.callback(os.close, hole)
        stack.callback(os.close, hole)
        orders.place(engine.segment, [old.id], Wish.KILL)
        engine.execute(TELL_ITSELF, old.id)
        new = engine.connect(greet=False)
        new.offer(evaluation(1, "return connected"))
        if last == "end":
            old.socket.shutdown(socket.SHUT_RDWR)
        else:
            old.offer(evaluation(1, "return 1"))
        engine.run()
        assert new.fd == number
        assert len(new.socket.recv(GREETING_SIZE)) == GREETING_SIZE
        (answer,) = new.answers(b"", 1)
        assert answer.data == [True]
        assert not old.exists
