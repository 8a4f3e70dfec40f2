"""Room that dead senders had reserved in inboxes: given back, and nothing else."""

from __future__ import annotations

import pytest

from tests.helpers.engine import Client, Engine

EACH = 32
LOST = 500


@pytest.fixture(autouse=True)
def functions(engine: Engine) -> None:
    engine.execute("bus = require('beespace.engine.bus')")


def hello(engine: Engine) -> None:
    """What the new process of a row says, here of the engine's own."""
    engine.execute("bus.send(0, bus.KIND.HELLO, '')")


def settle(engine: Engine) -> None:
    engine.turn()
    engine.run()


def test_what_never_comes_is_given_back(engine: Engine, client: Client) -> None:
    client.slot.inbox_bytes += LOST
    hello(engine)
    settle(engine)
    assert client.slot.inbox_bytes == 0
    assert client.slot.inbox_phase == 1


def test_what_waits_and_what_is_under_way_is_not(engine: Engine, client: Client) -> None:
    engine.execute("assert(box.session.push_to(..., 'waits'))", client.id)
    settle(engine)
    client.slot.inbox_bytes += LOST
    hello(engine)
    # Behind the hello: on their way while the round begins, and of the earlier phase.
    engine.execute("for k = 1, 3 do assert(box.session.push_to(..., 'flies')) end", client.id)
    assert client.slot.inbox_bytes == LOST + 4 * (6 + EACH)
    settle(engine)

    assert client.slot.inbox_bytes == 4 * (6 + EACH)
    assert client.eval("return box.session.receive(0)").data == [["waits"] + ["flies"] * 3]
    assert client.slot.inbox_bytes == 0


def test_what_was_reserved_after_the_round_began_is_not(engine: Engine, client: Client) -> None:
    client.slot.inbox_bytes += LOST
    engine.execute(
        """
        local id, inbox = ..., require('beespace.engine.inbox')
        local begin = inbox.begin_phase
        inbox.begin_phase = function(...)
          inbox.begin_phase = begin
          local bytes = begin(...)
          assert(box.session.push_to(id, 'after'))
          return bytes
        end
        """,
        client.id,
    )
    hello(engine)
    settle(engine)
    assert client.slot.inbox_bytes == 6 + EACH
    assert client.eval("return box.session.receive(0)").data == [["after"]]


def test_two_deaths_at_a_time(engine: Engine, client: Client) -> None:
    client.slot.inbox_bytes += LOST
    hello(engine)
    hello(engine)
    engine.execute(
        "bus.on(bus.KIND.EVENT_NUDGE, function() bus.send(0, bus.KIND.HELLO, '') end)"
        "bus.send(0, bus.KIND.EVENT_NUDGE, '')"
    )
    settle(engine)
    assert client.slot.inbox_bytes == 0
    client.slot.inbox_bytes += LOST
    hello(engine)
    settle(engine)
    assert client.slot.inbox_bytes == 0


def test_the_answer_of_another_round_is_none(engine: Engine, client: Client) -> None:
    client.slot.inbox_bytes += LOST
    hello(engine)
    engine.execute(
        "bus.send(0, bus.KIND.MARKED, '1') assert(box.session.push_to(..., 'flies'))", client.id
    )
    settle(engine)
    assert client.slot.inbox_bytes == 6 + EACH


def test_a_session_that_ends_meanwhile(engine: Engine) -> None:
    client = engine.connect()
    slot = client.slot
    slot.inbox_bytes += LOST
    hello(engine)
    client.close()
    settle(engine)
    assert slot.inbox_bytes == 0


def test_without_anything_under_way_nothing_moves(engine: Engine, client: Client) -> None:
    engine.execute("assert(box.session.push_to(..., 'waits'))", client.id)
    settle(engine)
    hello(engine)
    settle(engine)
    assert (client.slot.inbox_bytes, client.slot.inbox_phase) == (6 + EACH, 0)


def test_a_worker_whose_row_is_free_by_now_need_not_answer() -> None:
    with Engine(warm=False) as engine, engine.connect() as client:
        rows = engine.segment.rows
        rows[1].on_duty, engine.segment.header.workers = 1, 2
        engine.execute(
            "bus = require('beespace.engine.bus') "
            "local send = bus.send "
            "bus.send = function(target, ...) return target == 1 or send(target, ...) end "
            "bus.count = 2"
        )
        client.slot.inbox_bytes += LOST
        hello(engine)
        settle(engine)
        tick = "require('beespace.engine.arrears').tick()"
        engine.execute(tick)
        assert client.slot.inbox_bytes == LOST
        rows[1].on_duty = 0
        engine.execute(tick)
        assert client.slot.inbox_bytes == 0
