"""box.session.kill and cancel: what becomes of sessions, and of what runs for them."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from shm.states import EndReason, SlotState
from tests.helpers.consoles import open_console
from tests.helpers.engine import Engine, error_of
from tests.helpers.journal import on, seen
from tests.helpers.kills import (
    CANCELLED,
    WAIT,
    cancel,
    engine_with_notes,
    has_ended,
    kill,
    settle,
)
from tests.helpers.requests import evaluation


@pytest.fixture
def engine() -> Iterator[Engine]:
    with engine_with_notes() as made:
        yield made


def test_a_session_is_ended(engine: Engine) -> None:
    with engine.connect() as client, engine.connect() as other:
        other.eval("box.session.storage.mine = 'mine'")
        before = engine.row.ended[EndReason.KILLED]
        assert kill(client, other.id) == 1
        assert has_ended(other)
        assert settle(engine, other) == [f"{other.id} killed mine"]
        assert engine.row.ended[EndReason.KILLED] == before + 1
        assert kill(client, other.id) == 0
        assert client.in_step()
        engine.run()
        assert seen(engine) == []
    assert engine.row.sessions == 0


@pytest.mark.parametrize("session", [4_000_000, 2**53 - 1, 64])
def test_a_session_that_does_not_exist_is_not_counted(engine: Engine, session: int) -> None:
    with engine.connect() as client:
        assert kill(client, session) == 0
        assert cancel(client, session) == 0
        assert client.in_step()


def test_the_slot_of_one_that_was_killed_has_no_order(engine: Engine) -> None:
    with engine.connect() as client:
        with engine.connect() as other:
            slot = other.slot
            kill(client, other.id)
            settle(engine, other)
        after = [engine.connect() for _ in range(engine.segment.capacity - 1)]
        (same,) = [each for each in after if each.slot.id == slot.id]
        assert same.id == other.id + engine.segment.capacity
        assert same.in_step()
        same.close()
        assert f"{same.id} client nil" in seen(engine)


def test_who_has_left_and_is_said_goodbye_to_is_not_ended_again(engine: Engine) -> None:
    on(engine, "disconnect", "gate:wait() seen[#seen + 1] = tostring(box.session.reason())")
    with engine.connect() as client:
        other = engine.connect()
        assert kill(client, other.id) == 1
        engine.run()
        assert other.slot.state == SlotState.CLOSING
        assert kill(client, other.id) == 0
        assert cancel(client, other.id) == 0
        engine.execute("gate:broadcast()")
        assert settle(engine, other) == ["killed", f"{other.id} killed nil"]


def test_the_own_session(engine: Engine) -> None:
    source = "results = {box.session.kill(box.session.id())} results[2] = box.session.closed()"
    with engine.connect() as other:
        client = engine.connect()
        later = evaluation(2, "results[3] = 'never'")
        client.send(evaluation(1, f"{source} fiber.sleep(0) results[4] = 'never'") + later)
        assert has_ended(client)
        assert client.packets() == []
        assert settle(engine, client) == [f"{client.id} killed nil"]
        assert other.eval("return results").data == [[1, True]]


def test_a_fiber_ends_the_session_whose_request_has_made_it(engine: Engine) -> None:
    source = "local id = box.session.id() fiber.create(function() box.session.kill(id) end)"
    client = engine.connect()
    client.send(evaluation(1, f"{source} results = {{}}") + evaluation(2, "results[1] = 'never'"))
    assert has_ended(client)
    assert settle(engine, client) == [f"{client.id} killed nil"]
    assert engine.execute("return #results") == 0


def test_what_waits_is_cancelled(engine: Engine) -> None:
    note = "local ok, raised = pcall(gate.wait, gate) results[#results + 1] = tostring(raised)"
    engine.execute("results = {}")
    with engine.connect() as client:
        other = engine.connect()
        other.send(evaluation(1, f"{note} error(raised)") + evaluation(2, note))
        for stream_sync in (3, 4):
            other.send(evaluation(stream_sync, f"{note} results[9] = box.session.id()", stream=7))
        assert other.slot.in_flight == 4
        assert kill(client, other.id) == 1
        assert settle(engine, other) == [f"{other.id} killed nil"]
        assert client.eval("return results").data == [
            ["fiber is cancelled"] * 3 + [None] * 5 + [other.id]
        ]


def test_a_session_whose_on_connect_waits(engine: Engine) -> None:
    on(engine, "connect", "if box.session.peer():find(':7$') then gate:wait() end")
    with engine.connect() as client:
        other = engine.connect(b"127.0.0.1:7", greet=False)
        engine.run()
        assert kill(client, other.id) == 1
        assert has_ended(other)
        assert other.buffer == b""
        assert settle(engine, other) == [f"{other.id} killed nil"]


def test_one_whose_client_has_left_while_on_connect_waits(engine: Engine) -> None:
    on(engine, "connect", "if box.session.peer():find(':7$') then gate:wait() end")
    with engine.connect() as client:
        other = engine.connect(b"127.0.0.1:7", greet=False)
        engine.run()
        other.close()
        assert other.exists
        assert cancel(client, other.id) == 1
        engine.run()
        assert other.exists, "an on_connect is no request"
        assert kill(client, other.id) == 1
        assert settle(engine, other) == [f"{other.id} client nil"]


def test_a_session_that_lingers(engine: Engine) -> None:
    with engine.connect() as client:
        other = engine.connect(buffer=4096)
        other.offer(evaluation(1, "return ('x'):rep(300000)") + b"\xc1")
        engine.run()
        assert other.slot.state == SlotState.LIVE
        assert kill(client, other.id) == 1
        assert settle(engine, other) == [f"{other.id} killed nil"]


def test_a_full_socket(engine: Engine) -> None:
    with engine.connect() as client:
        other = engine.connect(buffer=4096)
        other.offer(evaluation(1, "return ('x'):rep(3000000)"))
        engine.run()
        assert other.slot.pending_out > 0
        assert kill(client, other.id) == 1
        assert settle(engine, other) == [f"{other.id} killed nil"]
        assert other.take() < 3_000_000


def test_the_log_says_who_and_whom(engine: Engine, capfd: pytest.CaptureFixture[str]) -> None:
    with engine.connect() as client, engine.connect() as other:
        kill(client, other.id)
        lines = capfd.readouterr().err.splitlines()
        assert [line.split("/", 1)[1] for line in lines] == [
            f"{client.id} I> user 'guest' ends sessions: {other.id}",
            f"{other.id} I> closing connection 127.0.0.1:4000: killed",
        ]
        kill(client, 999)
        assert capfd.readouterr().err == ""


# Consoles ---------------------------------------------------------------------------------------


def test_a_console(engine: Engine) -> None:
    with engine.connect() as client:
        console = open_console(engine)
        assert console.say("box.session.storage.mine = 1\n") == b"---\n...\n"
        assert kill(client, console.id) == 1
        assert settle(engine, console) == [f"{console.id} killed 1"]
        assert console.came() == b""
        assert console.ended


def test_a_console_whose_statement_waits(engine: Engine) -> None:
    with engine.connect() as client:
        console = open_console(engine)
        console.send(b"gate:wait()\n1\n")
        assert kill(client, console.id) == 1
        assert settle(engine, console) == [f"{console.id} killed nil"]
        assert console.came() == b""


def test_a_console_whose_on_connect_waits(engine: Engine) -> None:
    on(engine, "connect", "if box.session.type() == 'console' then gate:wait() end")
    with engine.connect() as client:
        console = open_console(engine, greet=False)
        engine.run()
        assert kill(client, console.id) == 1
        engine.run_until(lambda: not console.exists)
        assert console.came() == b""


def test_a_console_ends_itself(engine: Engine) -> None:
    console = open_console(engine)
    console.send(b"box.session.kill(box.session.id())\nresults = 'never'\n")
    assert settle(engine, console) == [f"{console.id} killed nil"]
    assert console.came() == b""
    assert engine.execute("return results") is None


# cancel -----------------------------------------------------------------------------------------


def test_requests_are_cancelled_and_the_session_stays(engine: Engine) -> None:
    with engine.connect() as client, engine.connect() as other:
        other.send(evaluation(1, WAIT) + evaluation(2, WAIT, stream=3))
        other.send(evaluation(3, "return 'next'", stream=3))
        assert cancel(client, other.id) == 1
        answers = {each.sync: each for each in other.answers(b"", 3)}
        assert [error_of(answers[sync]) for sync in (1, 2)] == [CANCELLED, CANCELLED]
        assert answers[3].data == ["next"]
        assert other.slot.in_flight == 0
        assert other.eval("fiber.sleep(0) return 7").data == [7]
        assert cancel(client, other.id) == 1, "nothing runs"
        assert other.in_step()


def test_the_running_request_cancels_itself(engine: Engine) -> None:
    with engine.connect() as client:
        client.send(evaluation(1, WAIT))
        source = "count = box.session.cancel(box.session.id()) fiber.sleep(0)"
        answers = client.answers(evaluation(2, source), 2)
        assert [error_of(each) for each in answers] == [CANCELLED, CANCELLED]
        assert client.eval("return count").data == [1]


def test_a_request_whose_client_has_left_is_cancelled(engine: Engine) -> None:
    with engine.connect() as client:
        other = engine.connect()
        other.send(evaluation(1, WAIT))
        other.close()
        assert other.slot.state == SlotState.CLOSING
        assert kill(client, other.id) == 0
        assert cancel(client, other.id) == 1
        assert settle(engine, other) == [f"{other.id} client mine"]


def test_a_console_goes_on_when_its_statement_was_cancelled(engine: Engine) -> None:
    with engine.connect() as client:
        console = open_console(engine)
        assert cancel(client, console.id) == 1, "nothing runs"
        console.send(b"gate:wait()\n")
        assert cancel(client, console.id) == 1
        assert console.came() == b"---\n- error: fiber is cancelled\n...\n"
        assert console.say("fiber.sleep(0) return 7\n") == b"---\n- 7\n...\n"
        console.close()
