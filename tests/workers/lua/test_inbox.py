"""Inboxes: order, the exact limit, receivers in line, sessions that are gone."""

from __future__ import annotations

import pytest

from tests.helpers.engine import Client, Engine, error_of
from tests.helpers.requests import evaluation

EACH = 32


@pytest.fixture(autouse=True)
def functions(engine: Engine) -> None:
    engine.execute("fibers, gate = require('beespace.engine.fibers'), require('fiber').cond()")


def put(engine: Engine, session: int, source: str = "1") -> tuple[object, str | None]:
    """push_to from the background: what it answers, and the text of its error."""
    found = engine.execute(
        f"""
        local ok, err = box.session.push_to({session}, {source})
        return ok, err and err.message
        """
    )
    ok, text = found
    return ok, text.decode() if text is not None else None


def deliver(engine: Engine) -> None:
    """Let what was put outside of the loop arrive."""
    engine.turn()
    engine.run()


def test_values_come_in_order(engine: Engine, client: Client) -> None:
    engine.execute("for k = 1, 5 do assert(box.session.push_to(..., {k, 'x'})) end", client.id)
    deliver(engine)

    assert client.eval("return box.session.receive(0, 2)").data == [[[1, "x"], [2, "x"]]]
    assert client.eval("return box.session.receive(0)").data == [[[k, "x"] for k in (3, 4, 5)]]
    assert client.eval("return box.session.receive(0)").data == [[]]


def test_what_is_on_its_way_is_received(engine: Engine, client: Client) -> None:
    source = """
        local id = box.session.id()
        for k = 1, 3 do box.session.push_to(id, k) end
        require('beespace.engine.bus').flush()
        return box.session.receive(0)"""
    assert client.eval(source).data == [[1, 2, 3]]
    assert client.slot.inbox_bytes == 0


def test_a_receiver_waits_until_something_comes(engine: Engine, client: Client) -> None:
    client.send(evaluation(1, "return box.session.receive()"))
    assert client.in_step()
    put(engine, client.id, "'hello'")

    assert client.answers(b"", 1)[0].data == [["hello"]]


def test_a_receiver_gives_up_when_the_time_is_over(engine: Engine, client: Client) -> None:
    (answer,) = client.answers(evaluation(1, "return box.session.receive(0.002)"), 1)
    assert answer.data == [[]]
    assert engine.execute("return require('beespace.engine.inbox').count(...)", client.id) == 0


def test_receivers_are_served_in_the_order_of_their_coming(engine: Engine, client: Client) -> None:
    client.send(b"".join(evaluation(n, "return box.session.receive(5, 1)") for n in (1, 2, 3)))
    for number in range(1, 4):
        put(engine, client.id, str(number))
    answers = client.answers(b"", 3)

    assert [(answer.sync, answer.data) for answer in answers] == [
        (1, [[1]]),
        (2, [[2]]),
        (3, [[3]]),
    ]


def test_who_comes_late_does_not_overtake_who_waits(engine: Engine, client: Client) -> None:
    client.send(evaluation(1, "return box.session.receive(5, 1)"))
    put(engine, client.id, "'first'")
    answers = client.answers(evaluation(2, "return box.session.receive(0.01)"), 2)

    assert {answer.sync: answer.data for answer in answers} == {1: [["first"]], 2: [[]]}


def test_a_look_at_what_is_there_takes_nothing_from_who_waits(
    engine: Engine, client: Client
) -> None:
    client.send(evaluation(1, "return box.session.receive(nil, 1)"))
    engine.execute(
        """
        local inbox = require('beespace.engine.inbox')
        changed = inbox.changed
        inbox.changed = function(id, count)
          inbox.changed = changed
          looked = #inbox.take(id, 0, 1)
          return changed(id, count)
        end
        """
    )
    put(engine, client.id, "'first'")

    assert client.answers(b"", 1)[0].data == [["first"]]
    assert engine.execute("return looked") == 0


def test_only_a_message_ends_a_wait_for_ever(engine: Engine, client: Client) -> None:
    client.send(evaluation(1, "me = fibers.current() return box.session.receive()"))
    for _ in range(3):
        engine.execute("fibers.wake(me)")
        engine.run()
    assert client.in_step()
    put(engine, client.id, "'it'")
    assert client.answers(b"", 1)[0].data == [["it"]]


def test_a_value_that_cannot_be_read_stays(engine: Engine, client: Client) -> None:
    engine.execute(
        """
        local codec = require('beespace.engine.codec')
        unpack_well, fails = codec.unpack, 1
        codec.unpack = function(...)
          if fails > 0 then
            fails = fails - 1
            error('not enough memory', 0)
          end
          return unpack_well(...)
        end
        """
    )
    try:
        put(engine, client.id, "'kept'")
        deliver(engine)
        before = client.slot.inbox_bytes
        answer = client.eval("return box.session.receive(0)")
        assert error_of(answer) == (32, "not enough memory")
        assert client.slot.inbox_bytes == before
        assert client.eval("return box.session.receive(0)").data == [["kept"]]
        assert client.slot.inbox_bytes == 0
    finally:
        engine.execute("require('beespace.engine.codec').unpack = unpack_well")


def test_an_error_object_stays_one(engine: Engine, client: Client) -> None:
    put(engine, client.id, "box.error.new(box.error.NO_SUCH_USER, 'bob')")
    deliver(engine)
    source = "local e = box.session.receive(0)[1] return e.code, e.message"
    assert client.eval(source).data == [45, "User 'bob' is not found"]


@pytest.mark.parametrize("size", [1, 100, 1000])
def test_the_limit_is_exact(engine: Engine, client: Client, size: int) -> None:
    value = f"('x'):rep({size})"
    packed = size + (1 if size < 32 else 2 if size < 256 else 3)
    room = (packed + EACH) * 10
    engine.execute("require('beespace.engine.inbox').limit = ...", room + packed + EACH - 1)
    try:
        for _ in range(10):
            assert put(engine, client.id, value) == (True, None)
        assert client.slot.inbox_bytes == room
        full = (None, f"the inbox of session {client.id} is full")
        assert put(engine, client.id, value) == full
        deliver(engine)
        assert put(engine, client.id, value) == full
        assert len(client.eval("return box.session.receive(0, 1)").data[0]) == 1
        assert put(engine, client.id, value) == (True, None)
        deliver(engine)
        assert len(client.eval("return box.session.receive(0)").data[0]) == 10
        assert client.slot.inbox_bytes == 0
    finally:
        engine.execute("require('beespace.engine.inbox').limit = 1024 * 1024")


def test_sessions_that_are_not_there(engine: Engine) -> None:
    client = engine.connect()
    gone = client.id
    client.close()
    for session in (gone, 0, gone + 1000, 2**52):
        assert put(engine, session) == (None, f"Session {session} does not exist")


def test_a_session_that_closes(engine: Engine) -> None:
    client = engine.connect()
    client.send(evaluation(1, "gate:wait()"))
    client.socket.close()
    engine.run()
    assert client.exists
    assert put(engine, client.id) == (None, "Session is closed")
    engine.execute("gate:broadcast()")
    engine.run_until(lambda: not client.exists)


def test_what_waited_goes_with_its_session(engine: Engine) -> None:
    client = engine.connect()
    put(engine, client.id, "('x'):rep(1000)")
    deliver(engine)
    slot = client.slot
    assert slot.inbox_bytes > 1000
    client.close()

    assert slot.inbox_bytes == 0
    assert engine.execute("return require('beespace.engine.inbox').count(...)", client.id) == 0


def test_a_receiver_whose_client_leaves_goes_on_with_nothing(engine: Engine) -> None:
    client = engine.connect()
    client.send(evaluation(1, "got = 'waiting' got = #box.session.receive()"))
    client.close()
    engine.run_until(lambda: not client.exists)
    assert engine.execute("return got") == 0


def test_a_cancelled_receiver_leaves_the_line(engine: Engine, client: Client) -> None:
    client.send(evaluation(1, "me = fibers.current() return box.session.receive()"))
    engine.execute("fibers.cancel(me)")
    (answer,) = client.answers(b"", 1)
    assert error_of(answer) == (32, "fiber is cancelled")
    put(engine, client.id)
    deliver(engine)
    assert client.eval("return box.session.receive(0)").data == [[1]]


def test_the_number_waiting_is_told(engine: Engine, client: Client) -> None:
    engine.execute(
        """
        local inbox = require('beespace.engine.inbox')
        told = {}
        inbox.changed = function(id, count) told[#told + 1] = id .. ':' .. count end
        """
    )
    put(engine, client.id)
    put(engine, client.id)
    deliver(engine)
    client.eval("return box.session.receive(0)")
    told = engine.execute("return table.concat(told, ' ')").decode()
    engine.execute("require('beespace.engine.inbox').changed = function() end")

    assert told == " ".join(f"{client.id}:{count}" for count in (1, 2, 0))


def test_a_cancelled_receiver_hands_on_what_it_was_woken_for(
    engine: Engine, client: Client
) -> None:
    client.send(
        evaluation(1, "me = fibers.current() return box.session.receive()")
        + evaluation(2, "return box.session.receive()")
    )
    engine.execute("box.session.push_to(...)", client.id, b"next")
    engine.execute(
        """
        local inbox = require('beespace.engine.inbox')
        cancel_me = inbox.changed
        inbox.changed = function(...) fibers.cancel(me) return cancel_me(...) end
        """
    )
    answers = client.answers(b"", 2)
    engine.execute("require('beespace.engine.inbox').changed = cancel_me")

    assert [error_of(answer)[1] or answer.data for answer in answers] == [
        "fiber is cancelled",
        [["next"]],
    ]


def test_a_cancelled_fiber_does_not_begin_to_wait(client: Client) -> None:
    (answer,) = client.answers(
        evaluation(1, "fibers.cancel(fibers.current()) return box.session.receive()"), 1
    )
    assert error_of(answer) == (32, "fiber is cancelled")


def test_who_cannot_wait_does_not_stay_in_line(engine: Engine, client: Client) -> None:
    source = "table.sort({2, 1}, function() box.session.receive(1) return true end)"
    assert error_of(client.eval(source))[1].endswith("attempt to yield across C-call boundary")
    put(engine, client.id, "'mine'")
    deliver(engine)
    assert client.eval("return box.session.receive(0)").data == [["mine"]]


def test_a_session_that_no_worker_has_taken_yet(engine: Engine) -> None:
    claimed = engine.table.claim(b"127.0.0.1:1", 0, bytes(20))
    assert claimed is not None
    found = put(engine, claimed)
    slot = engine.slot(claimed)
    engine.table.release(claimed)

    assert found == (None, f"the worker of session {claimed} does not keep up")
    assert slot.inbox_bytes == 0


@pytest.mark.parametrize(
    ("source", "text"),
    [
        ("box.session.push_to()", "session.push_to(sid, value): bad arguments"),
        ("box.session.push_to(1)", "session.push_to(sid, value): bad arguments"),
        ("box.session.push_to(1, 2, 3)", "session.push_to(sid, value): bad arguments"),
        ("box.session.push_to('1', 2)", "session.push_to(): expected a session id as 1 argument"),
        ("box.session.push_to(1.5, 2)", "session.push_to(): expected a session id as 1 argument"),
        ("box.session.push_to(-1, 2)", "session.push_to(): expected a session id as 1 argument"),
        ("box.session.push_to(2^60, 2)", "session.push_to(): expected a session id as 1 argument"),
        ("box.session.push_to({}, 2)", "session.push_to(): expected a session id as 1 argument"),
        ("box.session.receive('1')", "session.receive([timeout[, max]]): bad arguments"),
        ("box.session.receive(-1)", "session.receive([timeout[, max]]): bad arguments"),
        ("box.session.receive(0, 0)", "session.receive([timeout[, max]]): bad arguments"),
        ("box.session.receive(0, 1.5)", "session.receive([timeout[, max]]): bad arguments"),
    ],
)
def test_wrong_arguments(client: Client, source: str, text: str) -> None:
    assert error_of(client.eval(source)) == (32, text)


def test_a_value_that_cannot_be_encoded(engine: Engine, client: Client) -> None:
    assert put(engine, client.id, "print") == (None, "unsupported Lua type 'function'")
    assert client.slot.inbox_bytes == 0


def test_background_code_has_no_inbox(engine: Engine) -> None:
    found = engine.execute("local ok, err = box.session.receive(0) return ok, err.code")
    assert found == (None, 255)
