"""on_connect and on_disconnect at the end of the server: who is told what, and what is logged."""

from __future__ import annotations

import socket
import time
from collections.abc import Iterator

import pytest

from tests.helpers.engine import Client, Engine
from tests.helpers.journal import on, seen
from tests.helpers.raw import GREETING_SIZE, ping

SETUP = """
seen, logged = {}, {}
fiber = require('fiber')
local log = require('log')
for _, level in ipairs({'error', 'warn'}) do
  log[level] = function(...)
    local state = require('beespace.engine.state')
    logged[#logged + 1] = ('%s %d %s'):format(level, state.session_id(), string.format(...))
  end
end
function note(event)
  seen[#seen + 1] = ('%s %d %s'):format(event, box.session.id(), box.session.reason())
end
"""


@pytest.fixture
def engine() -> Iterator[Engine]:
    with Engine(warm=False) as made:
        made.execute(SETUP)
        yield made


def greeting(client: Client) -> None:
    """Take the greeting out of what has come."""
    client.take()
    assert client.buffer.startswith(b"Tarantool ")
    del client.buffer[:GREETING_SIZE]


def begin_the_end(engine: Engine, timeout: float) -> None:
    engine.execute(
        """local stopping = require('beespace.engine.stopping')
           stopping.timeout = ...
           stopping.finish = function() finished = true end""",
        timeout,
    )
    engine.asked = b"drain"
    engine.execute("require('beespace.engine.loop').attend_to_python()")
    engine.asked = b"end"


def finish(engine: Engine) -> None:
    engine.run_until(lambda: engine.execute("return finished"))


def test_the_stop_of_the_server_ends_sessions_in_good_order(engine: Engine) -> None:
    on(engine, "disconnect", "fiber.sleep(0.02) note('left')")
    clients = [engine.connect() for _ in range(3)]
    begin_the_end(engine, 5)
    finish(engine)
    told = seen(engine)
    assert len(told) == 3
    assert all(each.endswith(" shutdown") for each in told)
    assert engine.row.sessions == 0
    for client in clients:
        client.close()


def test_the_stop_does_not_wait_for_ever(engine: Engine) -> None:
    on(engine, "disconnect", "note('begun') fiber.sleep(3600)")
    client = engine.connect()
    started = time.monotonic()
    begin_the_end(engine, 0.3)
    finish(engine)
    assert 0.2 < time.monotonic() - started < 4
    assert len(seen(engine)) == 1
    client.close()


def test_an_on_connect_that_waits_at_the_stop_is_told(engine: Engine) -> None:
    on(engine, "connect", "fiber.sleep(60)")
    on(engine, "disconnect", "fiber.sleep(0.02) note('left')")
    clients = [engine.connect(greet=False) for _ in range(2)]
    clients[0].offer(ping(1))
    engine.turn()
    begin_the_end(engine, 0.1)
    finish(engine)
    for client in clients:
        greeting(client)
        (answer,) = client.packets()
        assert (answer.code, answer.text, answer.sync) == (32, "fiber is cancelled", 0)
        assert client.ended
    told = seen(engine)
    assert len(told) == 2
    assert all(each.endswith(" shutdown") for each in told)
    for client in clients:
        client.close()


def test_who_left_while_on_connect_waits_at_the_stop(engine: Engine) -> None:
    on(engine, "connect", "fiber.sleep(60)")
    on(engine, "disconnect", "fiber.sleep(0.02) note('left')")
    gone, leaving = engine.connect(greet=False), engine.connect(greet=False)
    engine.turn()
    gone.socket.close()
    engine.turn()
    # No more is seen of this one while it is not read.
    leaving.socket.shutdown(socket.SHUT_WR)
    begin_the_end(engine, 0.1)
    finish(engine)
    told = seen(engine)
    assert sorted(int(each.split()[1]) for each in told) == [gone.id, leaving.id]
    assert all(each.endswith(" client") for each in told)
    leaving.close()


def test_an_on_connect_that_fails_by_itself_during_the_stop(engine: Engine) -> None:
    on(engine, "connect", "fiber.sleep(0.02) error('no')")
    on(engine, "disconnect", "note('left')")
    client = engine.connect(greet=False)
    engine.turn()
    begin_the_end(engine, 0.5)
    engine.run_until(lambda: client.take() > 0)
    greeting(client)
    client.socket.close()
    finish(engine)
    (left,) = seen(engine)
    assert left.endswith(" refused")


def test_an_on_connect_that_ignores_its_end(engine: Engine) -> None:
    on(engine, "connect", "while true do pcall(fiber.sleep, 0.01) end")
    on(engine, "disconnect", "note('left')")
    client = engine.connect(greet=False)
    engine.turn()
    engine.execute("cut = 0 require('beespace.engine.stopping').cut_off = function(n) cut = n end")
    begin_the_end(engine, 0.1)
    finish(engine)
    assert engine.execute("return cut") == 1
    # The fiber never gives up, so the engine is not run once more.
    client.socket.close()


def test_what_is_cut_off_is_not_logged_one_by_one(engine: Engine) -> None:
    on(
        engine,
        "disconnect",
        """local ok, raised = pcall(fiber.sleep, 60)
           if box.session.storage.mine then error('no room', 0) end
           error(raised)""",
    )
    clients = [engine.connect() for _ in range(3)]
    clients[0].eval("box.session.storage.mine = 1")
    begin_the_end(engine, 0)
    finish(engine)
    assert seen(engine, "logged") == [
        "warn 0 3 on_disconnect cut off: they outlast process.stop_timeout",
        f"error {clients[0].id} on_disconnect of 127.0.0.1:4000 failed: no room",
    ]
    for client in clients:
        client.close()
