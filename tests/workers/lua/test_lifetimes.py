"""Sessions end when they were silent for too long, never asked, or are too old."""

from __future__ import annotations

import time
from collections.abc import Iterator

import pytest

from shm.states import EndReason, SessionType
from tests.helpers import users
from tests.helpers.consoles import open_console
from tests.helpers.engine import Client, Engine
from tests.helpers.raw import ping
from tests.helpers.requests import evaluation
from tests.helpers.users import login
from tests.workers.lua.tries import tried_again

OFF = {
    "session.idle_timeout": 0,
    "session.login_timeout": 0,
    "session.max_age": 0,
    "session.max_age_jitter": 0,
    "session.users": {},
}
NOTE = """
ends = {}
box.session.on_disconnect(function() ends[#ends + 1] = box.session.reason() end)"""
SWEEP = """
local lifetimes = require('beespace.engine.lifetimes')
local sys = require('beespace.engine.sys')
lifetimes.sweep(sys.clock(sys.CLOCK_MONOTONIC) + ...)"""


@pytest.fixture(autouse=True)
def _limits(engine: Engine) -> Iterator[None]:
    engine.execute("wait = require('beespace.engine.fibers').suspend")
    engine.apply(OFF)
    yield
    engine.apply(OFF)


def await_end(client: Client, seconds: float = 10) -> float:
    """Turns until the client sees the end without a packet; seconds that took."""
    begun = time.monotonic()
    client.engine.run_until(lambda: client.take() >= 0 and client.ended, seconds)
    assert not client.buffer
    return time.monotonic() - begun


def turn_for(engine: Engine, seconds: float) -> None:
    """Turns for some time."""
    until = time.monotonic() + seconds
    engine.run_until(lambda: time.monotonic() > until)


@tried_again
def test_an_idle_session_is_closed(engine: Engine, capfd: pytest.CaptureFixture[str]) -> None:
    engine.apply({"session.idle_timeout": 0.1})
    before = engine.row.ended[EndReason.IDLE]
    client = engine.connect(b"127.0.0.1:4711")
    assert 0.05 < await_end(client) < 0.6
    assert client.slot.reason == EndReason.IDLE
    assert engine.row.ended[EndReason.IDLE] == before + 1
    line = "closing connection 127.0.0.1:4711: idle for 0.1 second(s)"
    assert line in capfd.readouterr().err


@tried_again
def test_the_loop_does_not_oversleep(engine: Engine) -> None:
    """Without the turns of a test: what the loop asks for as its longest sleep."""
    engine.apply({"session.idle_timeout": 0.2})
    with engine.connect():
        engine.turn()
        left = engine.execute("return require('beespace.engine.fibers').milliseconds()")
        assert left <= 200


@tried_again
def test_pings_keep_it_open(engine: Engine) -> None:
    engine.apply({"session.idle_timeout": 0.15})
    with engine.connect() as client:
        for _ in range(10):
            turn_for(engine, 0.05)
            assert client.in_step()
        await_end(client)


@tried_again
def test_bytes_of_a_packet_keep_it_open(engine: Engine) -> None:
    engine.apply({"session.idle_timeout": 0.15})
    packet = ping(1)
    with engine.connect() as client:
        for byte in packet:
            turn_for(engine, 0.05)
            client.send(bytes([byte]))
        assert len(client.packets()) == 1


@tried_again
def test_a_request_that_runs_is_no_silence(engine: Engine) -> None:
    engine.apply({"session.idle_timeout": 0.1})
    with engine.connect() as client:
        (answer,) = client.answers(evaluation(1, "wait(0.5) return 1"), 1)
        assert answer.data == [1]
        assert 0.05 < await_end(client) < 0.6


@tried_again
def test_a_long_computation_is_no_silence(engine: Engine) -> None:
    engine.apply({"session.idle_timeout": 0.2})
    busy = "local c = require('clock').monotonic local e = c() + 0.3 repeat until c() > e return 1"
    with engine.connect() as client:
        client.eval(busy)
        turn_for(engine, 0.05)
        assert client.in_step()


def test_a_session_that_is_not_read_for_its_requests_is_not_idle(engine: Engine) -> None:
    engine.apply({"session.idle_timeout": 0.1, "iproto.net_msg_max": 2})
    with engine.connect() as client:
        data = b"".join(evaluation(sync, "wait(0.15) return 1") for sync in range(6))
        assert len(client.answers(data, 6)) == 6
    engine.apply({"iproto.net_msg_max": 768})


def test_one_users_timeout_is_not_another_ones(engine: Engine) -> None:
    users.add(engine, "patient", "secret")
    with engine.connect() as one:
        assert login(one, "patient", "secret").code == 0
        engine.apply({"session.users": {"guest": {"idle_timeout": 0.1}}})
        with engine.connect() as other:
            await_end(other)
        turn_for(engine, 0.2)
        assert one.in_step()


def test_a_login_gives_the_session_the_timeout_of_its_user(engine: Engine) -> None:
    engine.apply({"session.users": {"hasty": {"idle_timeout": 0.1}}})
    users.add(engine, "hasty", "secret")
    with engine.connect() as client:
        turn_for(engine, 0.2)
        assert login(client, "hasty", "secret").code == 0
        await_end(client)


def test_su_changes_nothing(engine: Engine) -> None:
    engine.apply({"session.users": {"admin": {"idle_timeout": 0.1}}})
    with engine.connect() as client:
        assert client.eval("box.session.su('admin')").code == 0
        engine.apply({"session.max_age": 0})
        turn_for(engine, 0.3)
        assert client.in_step()


def test_zero_for_a_user_is_no_limit(engine: Engine) -> None:
    engine.apply({"session.idle_timeout": 0.1, "session.users": {"guest": {"idle_timeout": 0}}})
    with engine.connect() as client:
        turn_for(engine, 0.3)
        assert client.in_step()


@tried_again
def test_live_sessions_follow_the_settings(engine: Engine) -> None:
    engine.apply(OFF)
    with engine.connect() as client, engine.connect() as other:
        turn_for(engine, 0.1)
        engine.apply({"session.users": {"guest": {"idle_timeout": 0.2}}})
        assert other.in_step()
        await_end(client)
        engine.apply({"session.users": {}})
        assert other.in_step() or other.ended
    with engine.connect() as client:
        turn_for(engine, 0.3)
        assert client.in_step()


@tried_again
def test_who_never_asks_is_closed(engine: Engine, capfd: pytest.CaptureFixture[str]) -> None:
    engine.apply({"session.login_timeout": 0.15})
    silent, slow = engine.connect(b"127.0.0.1:4712"), engine.connect()
    with engine.connect() as asks:
        assert asks.in_step()
        for byte in ping(1)[:3]:
            slow.offer(bytes([byte]))
            turn_for(engine, 0.03)
        await_end(silent)
        await_end(slow)
        turn_for(engine, 0.2)
        assert asks.in_step()
    assert {silent.slot.reason, slow.slot.reason} == {EndReason.LOGIN_TIMEOUT}
    line = "closing connection 127.0.0.1:4712: no request within 0.15 second(s)"
    assert line in capfd.readouterr().err


@tried_again
def test_a_first_request_that_runs_is_one(engine: Engine) -> None:
    engine.apply({"session.login_timeout": 0.1})
    with engine.connect() as client:
        client.answers(evaluation(1, "wait(0.3) return 1"), 1)
        turn_for(engine, 0.1)
        assert client.in_step()


@tried_again
def test_the_time_of_on_connect_does_not_count(engine: Engine) -> None:
    engine.apply({"session.login_timeout": 0.2, "session.idle_timeout": 0.2})
    engine.execute("on = box.session.on_connect(function() wait(0.4) end)")
    client = engine.connect(greet=False)
    engine.run_until(lambda: client.take() >= 0 and len(client.buffer) == 128)
    engine.execute("box.session.on_connect(nil, on)")
    assert client.engine.table.exists(client.id)
    client.buffer.clear()
    assert client.in_step()
    client.close()


def test_consoles_and_the_control_socket_have_no_limits(engine: Engine) -> None:
    engine.apply(
        {"session.login_timeout": 0.1, "session.idle_timeout": 0.1, "session.max_age": 0.1}
    )
    engine.segment.header.control_listener = 5
    console = open_console(engine)
    claimed = engine.connect()
    engine.segment.header.control_listener = 0
    with engine.connect() as control:
        turn_for(engine, 0.4)
        assert control.in_step()
    engine.segment.header.control_listener = 255
    assert console.exists
    assert console.slot.type == SessionType.CONSOLE
    console.close()
    claimed.close()


@tried_again
def test_old_sessions_are_closed(engine: Engine) -> None:
    engine.apply({"session.max_age": 0.2})
    engine.execute(NOTE)
    try:
        begun = time.monotonic()
        with engine.connect() as client:
            while not client.ended and time.monotonic() < begun + 3:
                client.offer(ping(1))
                engine.turn()
                client.take()
            assert 0.1 < time.monotonic() - begun < 0.8
            assert client.slot.reason == EndReason.MAX_AGE
        engine.run_until(lambda: engine.execute("return #ends") == 1)
        assert engine.execute("return ends[1]") == b"max_age"
    finally:
        engine.execute("box.session.on_disconnect(nil, box.session.on_disconnect()[1])")


@tried_again
def test_a_request_may_end_before_an_old_session_does(engine: Engine) -> None:
    engine.apply({"session.max_age": 0.2})
    with engine.connect() as client:
        answers = client.answers(evaluation(1, "wait(0.5) return 'late'"), 1)
        assert answers[0].data == ["late"]
        assert await_end(client) < 0.5


def test_the_time_of_such_a_request_is_bounded(engine: Engine) -> None:
    engine.execute("require('beespace.engine.expiry').GRACE = 0.2")
    with engine.connect() as client:
        client.send(evaluation(1, "repeat wait(0.01) until stop"))
        engine.apply({"session.max_age": 0.2})
        await_end(client)
        engine.execute("stop = true")
        turn_for(engine, 0.05)
    engine.execute("require('beespace.engine.expiry').GRACE = 10")


def test_an_old_session_begins_nothing_more(engine: Engine) -> None:
    with engine.connect() as client:
        client.send(evaluation(1, "repeat wait(0.01) until over return 1"))
        engine.apply({"session.max_age": 0.2})
        turn_for(engine, 0.4)
        client.offer(ping(2))
        turn_for(engine, 0.1)
        client.take()
        assert client.packets() == []
        engine.execute("over = true")
        engine.run_until(lambda: client.take() >= 0 and client.ended)
        assert [answer.sync for answer in client.packets()] == [1]


@pytest.mark.parametrize("limit", ["session.idle_timeout", "session.login_timeout"])
def test_bytes_that_a_busy_worker_has_not_read_are_no_silence(limit: str) -> None:
    with Engine() as engine:
        engine.apply(OFF | {limit: 30})
        with engine.connect() as client, engine.connect() as silent:
            client.offer(ping(1))
            engine.execute(SWEEP, 31)
            assert client.exists
            assert not silent.exists
            client.read()
            assert len(client.packets()) == 1


def test_who_must_stand_in_line_has_asked(engine: Engine) -> None:
    engine.apply({"iproto.net_msg_max_per_worker": 1})
    with engine.connect() as first, engine.connect() as client:
        first.send(evaluation(1, "wait(0.6) return 1"))
        client.offer(ping(7))
        engine.apply({"session.login_timeout": 0.2})
        assert [answer.sync for answer in client.answers(b"", 1)] == [7]
    engine.apply({"iproto.net_msg_max_per_worker": 65536})


def test_many_are_ended_in_slices() -> None:
    with Engine(capacity=1024) as engine:
        engine.apply(OFF | {"session.idle_timeout": 30})
        clients = [engine.connect() for _ in range(500)]
        engine.execute(SWEEP, 31)
        assert 0 < sum(client.exists for client in clients) < 500
        for _ in range(4):
            engine.execute(SWEEP, 31)
        assert not any(client.exists for client in clients)
        for client in clients:
            client.close()
