"""on_connect and on_disconnect: when they run, what they see, and what failing ones do."""

from __future__ import annotations

import functools
import socket
from collections.abc import Iterator

import pytest

from shm.states import EndReason, SlotState
from tests.helpers.engine import Client, Engine
from tests.helpers.journal import on, seen
from tests.helpers.raw import GREETING_SIZE, ping
from tests.helpers.requests import evaluation

SETUP = """
seen = {}
logged = {}
fiber = require('fiber')
gate = fiber.cond()
local log = require('log')
for _, level in ipairs({'error', 'warn'}) do
  log[level] = function(...)
    local state = require('beespace.engine.state')
    logged[#logged + 1] = ('%s %d %s'):format(level, state.session_id(), string.format(...))
  end
end
function note(event)
  local s = box.session
  seen[#seen + 1] = table.concat({event, s.id(), s.user(), s.effective_user(), s.fd(), s.sync(),
    s.peer(), s.type(), tostring(s.storage.mine), tostring(s.reason())}, ' ')
end
function on(event, f) box.session['on_' .. event](f, nil, 'test') end
"""
NO_FD = 0xFFFFFFFF
PEER = b"127.0.0.1:4000"


@pytest.fixture
def engine() -> Iterator[Engine]:
    with Engine(warm=False) as made:
        made.execute(SETUP)
        yield made


def wait_for(engine: Engine, count: int) -> list[str]:
    engine.run_until(lambda: engine.execute("return #seen") >= count)
    return seen(engine)


def has_greeting(client: Client) -> bool:
    client.take()
    return len(client.buffer) >= GREETING_SIZE


def has_ended(client: Client) -> bool:
    client.take()
    return client.ended


def greet(client: Client) -> None:
    """Turn until the greeting has come, and take it out of what came."""
    client.engine.run_until(lambda: has_greeting(client))
    assert client.buffer.startswith(b"Tarantool ")
    del client.buffer[:GREETING_SIZE]


def test_on_connect_comes_before_the_greeting(engine: Engine) -> None:
    on(
        engine,
        "connect",
        "note('begun') gate:wait() note('ended') box.session.storage.mine = 7",
    )
    client = engine.connect(greet=False)
    client.offer(ping(5))
    engine.turn()
    (begun,) = seen(engine)
    assert client.slot.state == SlotState.LIVE
    client.take()
    assert client.buffer == b""
    engine.execute("gate:broadcast()")
    engine.run_until(lambda: engine.execute("return #seen") == 1)
    (ended,) = seen(engine)
    assert begun == f"begun {client.id} guest admin {client.fd} 0 127.0.0.1:4000 binary nil nil"
    assert ended == begun.replace("begun", "ended")
    greet(client)
    (answer,) = client.answers(b"", 1)
    assert answer.sync == 5
    assert client.eval("return box.session.storage.mine").data == [7]
    client.close()


def test_a_greeting_carries_the_salt_of_its_slot(engine: Engine) -> None:
    on(engine, "connect", "fiber.sleep(0)")
    first, second = engine.connect(greet=False), engine.connect(greet=False)
    engine.segment.slots[second.id].salt[:] = bytes(range(100, 120))
    for client in (first, second):
        engine.run_until(functools.partial(has_greeting, client))
    assert first.buffer[64:108] != second.buffer[64:108]
    first.close()
    second.close()


def test_newest_first_and_the_first_error_stops_the_rest(engine: Engine) -> None:
    engine.execute("box.session.on_connect(function() seen[#seen + 1] = 'old' end)")
    engine.execute("box.session.on_connect(function() seen[#seen + 1] = 'new' end)")
    with engine.connect(greet=False) as client:
        greet(client)
        assert seen(engine) == ["new", "old"]
    engine.execute("box.session.on_connect(function() error('no') end)")
    with engine.connect(greet=False) as client:
        greet(client)
        assert seen(engine) == []


def test_a_user_given_in_on_connect_stays(engine: Engine) -> None:
    source = "require('beespace.engine.logins').become(1) note('connect')"
    on(engine, "connect", source)
    with engine.connect(greet=False) as client:
        greet(client)
        assert " admin admin " in seen(engine)[0]
        assert client.eval("return box.session.user()").data == ["admin"]


def test_a_failing_on_connect(engine: Engine) -> None:
    engine.execute("on('connect', loadstring('error(\"no way\")', '=eval'))")
    on(engine, "disconnect", "note('left')")
    client = engine.connect(greet=False)
    client.offer(ping(1))
    greet(client)
    engine.run_until(lambda: has_ended(client))
    (answer,) = client.packets()
    assert (answer.type, answer.sync, answer.text) == (0x8000 + 32, 0, "eval:1: no way")
    assert client.exists
    client.socket.close()
    (left,) = wait_for(engine, 1)
    assert left == f"left {client.id} guest admin -1 0 127.0.0.1:4000 binary nil refused"
    engine.run_until(lambda: not client.exists)


def test_any_error_of_on_connect_is_told(engine: Engine) -> None:
    on(engine, "connect", "fiber.sleep(0) box.error{code = 1234, reason = 'closed today'}")
    client = engine.connect(greet=False)
    greet(client)
    engine.run_until(lambda: has_ended(client))
    (answer,) = client.packets()
    assert (answer.code, answer.text, answer.sync) == (1234, "closed today", 0)
    client.close()


def test_nothing_is_sent_before_the_greeting(engine: Engine) -> None:
    engine.execute("results = {}")
    on(
        engine,
        "connect",
        """local ok, raised = box.session.push(1)
           results[1], results[2] = ok, raised.message""",
    )
    with engine.connect(greet=False) as client:
        greet(client)
        assert client.buffer == b""
        assert engine.execute("return unpack(results, 1, 2)") == (
            None,
            b"A session does not support push() before its greeting",
        )
        assert client.in_step()


def test_who_leaves_while_on_connect_waits(engine: Engine) -> None:
    on(
        engine,
        "connect",
        "note('begun') gate:wait() box.session.storage.mine = 'kept' note('ended')",
    )
    on(engine, "disconnect", "note('left')")
    client = engine.connect(greet=False)
    engine.turn()
    client.socket.close()
    engine.turn()
    engine.execute("gate:broadcast()")
    begun, ended, left = wait_for(engine, 3)
    assert begun.split()[0] == "begun"
    assert ended == f"ended {client.id} guest admin -1 0 127.0.0.1:4000 binary kept client"
    assert left == ended.replace("ended", "left")
    engine.run_until(lambda: not client.exists)
    assert engine.row.sessions == 0
    engine.run()
    assert seen(engine) == []


def test_who_leaves_while_on_connect_waits_and_nobody_listens(engine: Engine) -> None:
    on(engine, "connect", "gate:wait() note('ended')")
    client = engine.connect(greet=False)
    engine.turn()
    client.socket.close()
    engine.turn()
    assert client.exists
    engine.execute("gate:broadcast()")
    wait_for(engine, 1)
    engine.run_until(lambda: not client.exists)


def test_on_disconnect_sees_the_session(engine: Engine) -> None:
    on(engine, "disconnect", "note('left') gate:wait() note('gone')")
    client = engine.connect()
    client.eval("box.session.storage.mine = 5 require('beespace.engine.logins').become(1)")
    freed = engine.row.freed
    client.close()
    (left,) = seen(engine)
    assert left == f"left {client.id} admin admin -1 0 127.0.0.1:4000 binary 5 client"
    assert client.exists
    assert (client.slot.state, client.fd) == (SlotState.CLOSING, NO_FD)
    assert client.slot.reason == EndReason.CLIENT
    assert engine.execute("return box.session.fd(...), box.session.peer(...)", client.id) == (
        -1,
        PEER,
    )
    engine.execute("gate:broadcast()")
    (gone,) = wait_for(engine, 1)
    assert gone == left.replace("left", "gone")
    engine.run()
    assert not engine.table.exists(client.id)
    assert engine.row.freed == freed + 1
    storages = "return getmetatable(box.session).aggregate_storage[...]"
    assert engine.execute(storages, client.id) is None


def test_on_disconnect_runs_beside_requests_that_wait(engine: Engine) -> None:
    on(engine, "disconnect", "note('left')")
    client = engine.connect()
    client.send(evaluation(1, "gate:wait() note('request')"))
    client.close()
    (left,) = seen(engine)
    assert left.startswith("left ")
    assert client.exists
    engine.execute("gate:broadcast()")
    (request,) = wait_for(engine, 1)
    assert request.startswith(f"request {client.id} guest guest -1 0 ")
    engine.run_until(lambda: not client.exists)
    assert seen(engine) == []


def test_an_on_disconnect_that_outlasts_the_requests(engine: Engine) -> None:
    on(engine, "disconnect", "gate:wait() note('left')")
    client = engine.connect()
    client.send(evaluation(1, "fiber.sleep(0.02) note('request')"))
    client.close()
    assert wait_for(engine, 1)[0].startswith("request ")
    engine.turn()
    assert client.exists
    engine.execute("gate:broadcast()")
    assert wait_for(engine, 1)[0].startswith("left ")
    engine.run_until(lambda: not client.exists)


def test_a_failing_on_disconnect_is_logged(engine: Engine) -> None:
    on(engine, "disconnect", "error('no farewell', 0)")
    client = engine.connect()
    client.close()
    assert not client.exists
    assert seen(engine, "logged") == [
        f"error {client.id} on_disconnect of 127.0.0.1:4000 failed: no farewell"
    ]


def test_the_reason_of_an_end(engine: Engine) -> None:
    on(engine, "disconnect", "seen[#seen + 1] = box.session.reason()")
    client = engine.connect()
    assert client.eval("return box.session.reason()").data == [None]
    client.close()
    client = engine.connect()
    client.exchange(b"\xff")
    client.close()
    client = engine.connect()
    engine.execute("require('beespace.engine.sessions').close(...)", client.fd, EndReason.KILLED)
    engine.turn()
    client.close()
    # more than the limit waits to be sent
    engine.execute("require('beespace.engine.output').limit = 1000")
    client = engine.connect(buffer=4096)
    client.send(evaluation(1, "for _ = 1, 9 do box.session.push(('x'):rep(300000)) end"))
    engine.run_until(lambda: client.fd == NO_FD)
    client.close()
    assert seen(engine) == ["client", "error", "killed", "limit"]


def test_no_session_leaves_without_it(engine: Engine) -> None:
    on(engine, "connect", "seen[#seen + 1] = 'in ' .. box.session.id()")
    on(engine, "disconnect", "seen[#seen + 1] = 'out ' .. box.session.id()")
    clients = [engine.connect(greet=False) for _ in range(40)]
    for client in clients[::2]:
        client.socket.close()
    engine.run()
    for client in clients[1::2]:
        client.socket.close()
    engine.run()
    told = seen(engine)
    ids = {client.id for client in clients}
    assert sorted(told) == sorted([f"in {n}" for n in ids] + [f"out {n}" for n in ids])
    assert all(told.index(f"in {n}") < told.index(f"out {n}") for n in ids)
    assert engine.row.sessions == 0


def test_sessions_of_the_control_socket_skip_both(engine: Engine) -> None:
    engine.segment.header.control_listener = 0
    on(engine, "connect", "error('nobody')")
    on(engine, "disconnect", "note('left')")
    with engine.connect() as client:
        assert client.in_step()
    assert seen(engine) == []
    assert not client.exists


def test_a_session_is_open_until_its_socket_is_closed(engine: Engine) -> None:
    """While on_disconnect has not begun nothing can be sent to the session any more."""
    on(engine, "disconnect", "note('left')")
    client = engine.connect()
    engine.execute("require('beespace.engine.sessions').close(...)", client.fd)
    assert (client.slot.state, client.exists) == (SlotState.LIVE, True)
    ask = """
        local shared = require('beespace.engine.table')
        return shared.is_open(shared.slots[... % shared.capacity]), shared.descriptor(...)"""
    assert engine.execute(ask, client.id) == (False, -1)
    assert engine.execute(
        "return require('beespace.engine.inbox').put(...)", client.id, b"\x01"
    ) == (
        None,
        b"closed",
    )
    sent = "return require('beespace.engine.letters').send(...)"
    assert engine.execute(sent, client.id, b"x") == (None, b"closed")
    engine.turn()
    client.close()
    assert len(seen(engine)) == 1


def test_without_functions_nothing_is_different(engine: Engine) -> None:
    client = engine.connect()
    assert client.in_step()
    fibers = engine.execute("return require('beespace.engine.fiber_records').count")
    client.socket.shutdown(socket.SHUT_RDWR)
    engine.run()
    assert not client.exists
    assert engine.execute("return require('beespace.engine.fiber_records').count") == fibers
    client.close()


def test_a_packet_before_the_greeting_is_an_error(engine: Engine) -> None:
    on(
        engine,
        "connect",
        """
        local ok, raised = pcall(box.iproto.send, box.session.id(), {request_type = 0})
        seen[#seen + 1] = tostring(ok) .. ' ' .. raised.message""",
    )
    with engine.connect() as client:
        assert client.in_step()
    assert seen(engine) == ["false A session does not support packets before its greeting"]
