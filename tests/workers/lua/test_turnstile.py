"""Past so many waiting requests of a worker its sessions have turns."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator

import pytest

from tests.helpers.consoles import open_console
from tests.helpers.engine import Client, Engine
from tests.helpers.raw import ping
from tests.helpers.requests import evaluation

LIMIT = 8
WORK = """
running, order = running + 1, order or {}
most = math.max(most, running)
order[#order + 1] = ...
wait(0.002)
running = running - 1
return ..."""


@pytest.fixture(autouse=True)
def _limit(engine: Engine) -> Iterator[None]:
    engine.execute("wait = require('beespace.engine.fibers').suspend running, most, order = 0, 0")
    engine.apply({"iproto.net_msg_max_per_worker": LIMIT})
    yield
    engine.apply({"iproto.net_msg_max_per_worker": 65536})
    assert engine.execute("return require('beespace.engine.state').st.full") == 0


def await_answers(engine: Engine, clients: list[Client], count: int) -> None:
    """Turn until each has so many answers."""
    came = dict.fromkeys(range(len(clients)), 0)

    def all_came() -> bool:
        for number, client in enumerate(clients):
            client.take()
            came[number] += len(client.packets())
        return all(each == count for each in came.values())

    engine.run_until(all_came, 20)


def test_no_more_wait_than_may(engine: Engine) -> None:
    with contextlib.ExitStack() as stack:
        clients = [stack.enter_context(engine.connect()) for _ in range(20)]
        for number, client in enumerate(clients):
            client.offer(b"".join(evaluation(sync, WORK, number) for sync in range(30)))
        await_answers(engine, clients, 30)
        assert engine.execute("return most") <= LIMIT
        for client in clients:
            assert client.in_step()
            assert client.held() == (0, 0)
        order = list(engine.execute("return table.concat(order, ' ')").decode().split())
    # Nobody has a second turn long before all had their first.
    assert len(set(order[: 20 * LIMIT])) == 20


def test_who_asks_for_much_does_not_keep_out_who_asks_for_little(engine: Engine) -> None:
    with engine.connect() as greedy, engine.connect() as modest:
        greedy.offer(b"".join(evaluation(sync, WORK, 1) for sync in range(400)))
        engine.turn()
        modest.offer(evaluation(1, WORK, 2))
        answered: list[int] = []

        def is_answered() -> bool:
            greedy.take()
            answered.extend(packet.sync for packet in greedy.packets())
            modest.take()
            return bool(modest.packets())

        engine.run_until(is_answered)
        assert len(answered) < 100
        await_answers(engine, [greedy], 400 - len(answered))


def test_requests_that_do_not_wait_have_turns_as_well(engine: Engine) -> None:
    with engine.connect() as one, engine.connect() as other:
        one.offer(b"".join(evaluation(sync, WORK, 1) for sync in range(100)))
        engine.turn()
        other.offer(ping(1))
        engine.turn()
        await_answers(engine, [other], 1)
        await_answers(engine, [one], 100)


def test_who_leaves_while_in_line_holds_up_nobody(engine: Engine) -> None:
    with engine.connect() as one, engine.connect() as last:
        leaving = [engine.connect() for _ in range(5)]
        one.offer(b"".join(evaluation(sync, WORK, 1) for sync in range(50)))
        engine.turn()
        for client in leaving:
            client.offer(evaluation(1, WORK, 2))
        engine.turn()
        for client in leaving:
            client.socket.close()
        last.offer(ping(1))
        await_answers(engine, [one], 50)
        await_answers(engine, [last], 1)
        engine.run_until(lambda: not any(client.exists for client in leaving))


def test_the_control_socket_and_consoles_are_read_always(engine: Engine) -> None:
    console = open_console(engine)
    engine.segment.header.control_listener = 0
    control = engine.connect()
    engine.segment.header.control_listener = 255
    with engine.connect() as client:
        stuck = "repeat wait(0.001) until go"
        client.offer(b"".join(evaluation(sync, stuck) for sync in range(20)))
        engine.turn()
        engine.segment.header.control_listener = 0
        client.slot.listener = 1
        assert control.in_step()
        client.offer(ping(99))
        for _ in range(5):
            engine.turn()
        client.take()
        assert client.packets() == []
        assert b"- 1" in console.say("return 1\n")
        control.eval("go = true")
        client.slot.listener = 0
        engine.segment.header.control_listener = 255
        await_answers(engine, [client], 21)
    engine.execute("go = nil")
    control.close()
    console.close()


def test_a_higher_limit_holds_at_once(engine: Engine) -> None:
    with engine.connect() as client:
        client.offer(
            b"".join(evaluation(sync, "repeat wait(0.001) until go") for sync in range(30))
        )
        engine.turn()
        assert client.slot.in_flight == LIMIT
        engine.apply({"iproto.net_msg_max_per_worker": 100})
        engine.run_until(lambda: client.slot.in_flight == 30)
        engine.execute("go = true")
        await_answers(engine, [client], 30)
    engine.execute("go = nil")
