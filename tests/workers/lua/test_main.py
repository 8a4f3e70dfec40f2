"""The wiring: application, serving, yields, the end; health figures and the warm-up."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.helpers.engine import Client, Engine, error_of, errors_of
from tests.helpers.raw import CALL, EVAL, ping, request
from workers.runtime import LuaFailureError


def load(engine: Engine, text: str) -> None:
    engine.call_main("load", b"/srv/app.lua", text.encode())


def served(engine: Engine, client: Client, data: bytes) -> None:
    """Let engine/main serve what is sent, once, to its end."""
    client.offer(data)
    engine.wake()
    engine.call_main("serve")
    client.take()


def test_the_application_defines_what_clients_call(engine: Engine) -> None:
    load(engine, "function hello(name) return 'hello ' .. name end")
    with engine.connect() as client:
        assert client.call("hello", "bee").data == ["hello bee"]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("x =", "/srv/app.lua:1: unexpected symbol"),
        ("\nerror('no')", "/srv/app.lua:2: no"),
        ("\x1bLJ\x02\x00", "attempt to load chunk with wrong mode"),
        ("local x = nosuch.field", "/srv/app.lua:1: attempt to index global 'nosuch'"),
    ],
)
def test_errors_of_the_application(engine: Engine, text: str, expected: str) -> None:
    with pytest.raises(LuaFailureError) as caught:
        load(engine, text)
    assert expected in str(caught.value)


def test_serving_answers_and_ends_every_session() -> None:
    with Engine() as engine:
        clients = [engine.connect() for _ in range(3)]
        served(engine, clients[0], ping(1) * 3)

        assert [answer.sync for answer in clients[0].packets()] == [1, 1, 1]
        assert clients[0].ended
        assert engine.row.sessions == 0
        assert not any(client.exists for client in clients)
        for client in clients:
            client.close()


@pytest.mark.parametrize(
    ("source", "text"),
    [
        ("coroutine.yield()", "eval:1: attempt to yield across C-call boundary"),
        ("\ncoroutine.yield(1, 2)", "eval:2: attempt to yield across C-call boundary"),
    ],
)
def test_a_request_that_yields_to_nobody(source: str, text: str) -> None:
    with Engine() as engine:
        client = engine.connect()
        odd = request({0: EVAL, 1: 7}, {0x27: source})
        served(engine, client, ping(1) + odd + ping(2) + odd + odd + ping(3))
        answers = client.packets()

        assert [answer.sync for answer in answers] == [1, 7, 2, 7, 7, 3]
        assert errors_of(answers[1:2]) == [(32, text)]
        client.close()


def test_a_cure_waits_for_the_batch_of_a_request_that_yielded() -> None:
    with Engine() as engine, engine.connect() as client:
        odd = request({0: EVAL, 1: 7}, {0x27: "coroutine.yield()"})
        engine.execute("require('beespace.engine.state').st.stop = 2")
        client.offer(ping(1) + odd + ping(2))
        engine.execute(
            """
            local loop = require('beespace.engine.loop')
            local guard, fd = loop.guard, ...
            loop.guard = function()
              loop.guard = guard
              require('beespace.engine.input').receive(fd)
              return guard()
            end
            """,
            client.fd,
        )
        engine.wake()
        engine.call_main("serve")
        client.take()

        assert [answer.sync for answer in client.packets()] == [1, 7, 2]


def test_coroutines_inside_a_request_are_fine(client: Client) -> None:
    source = """
        local function count(n) for k = 1, n do coroutine.yield(k) end return 'end' end
        local each, seen = coroutine.wrap(count), {}
        for _ = 1, 4 do seen[#seen + 1] = each(3) end
        return seen"""
    assert client.eval(source).data == [[1, 2, 3, "end"]]


def test_stack_overflow_is_an_answer(client: Client) -> None:
    answer = client.eval("local function f() return 1 + f() end return f()")
    assert answer.code == 32
    assert "stack overflow" in answer.text
    assert client.in_step()


def test_an_error_whose_text_cannot_be_made(client: Client) -> None:
    source = "error(setmetatable({}, {__tostring = function() error('never') end}))"
    assert error_of(client.eval(source))[0] == 32
    assert client.in_step()


def test_the_warm_up_counts_nothing() -> None:
    with Engine() as engine:
        names = ("requests", "pings", "calls", "evals", "errors", "bytes_in", "bytes_out")
        assert [getattr(engine.row, name) for name in names] == [0] * len(names)
        assert (engine.row.sessions, engine.row.loop_time) == (0, 0)


def test_health_figures() -> None:
    with Engine() as engine:
        assert engine.row.jit_traces > 10
        assert 100_000 < engine.row.lua_heap < 100_000_000


def test_traces_go_on_from_those_of_the_process_before() -> None:
    with Engine() as engine:
        engine.row.jit_traces, engine.row.jit_aborts = 50_000, 60_000
        for _ in range(2):
            engine.execute("require('beespace.engine.health').publish()")
        assert 50_000 <= engine.row.jit_traces < 51_000
        assert 60_000 <= engine.row.jit_aborts < 61_000


def test_fibers_are_counted() -> None:
    with Engine() as engine, engine.connect() as client:
        source = "for _ = 1, 3 do require('fiber').create(require('fiber').sleep, 60) end"
        client.eval(source)
        engine.execute("require('beespace.engine.health').publish()")
        assert engine.row.fibers == 3


TURNS = """
local st, health = require('beespace.engine.state').st, require('beespace.engine.health')
local told = {}
health.begin(0)
for second = 1, 13 do
  st.longest = second == 3 and 0.25 or 0.001
  health.publish()
  told[second] = tonumber(require('beespace.engine.table').row.loop_time)
end
return table.concat(told, ' ')
"""


def test_the_longest_turn_is_told_for_some_seconds() -> None:
    with Engine() as engine:
        short, long = 1_000_000, 250_000_000
        told = [short] * 2 + [long] * 8 + [short] * 3
        assert [int(word) for word in engine.execute(TURNS).split()] == told


def test_a_long_request_makes_a_long_turn() -> None:
    with Engine() as engine, engine.connect() as client:
        engine.execute(HEALTH + "health.begin(require('clock').monotonic())")
        client.eval(
            "local c = require('clock') local t = c.time() while c.time() < t + 0.05 do end"
        )
        engine.turn()
        engine.execute(HEALTH + "health.publish()")
        assert engine.row.loop_time > 50_000_000


def test_without_a_warm_up_everything_works() -> None:
    with Engine(warm=False) as engine, engine.connect() as client:
        assert client.in_step()
        assert client.call("box.session.id").data == [client.id]


HEALTH = "local health = require('beespace.engine.health') "


def test_traces_are_made_anew_after_too_many_aborts() -> None:
    with Engine() as engine:
        needs = HEALTH + "return health.needs_cure(...)"
        engine.execute(HEALTH + "health.settle(100)")
        assert not engine.execute(needs, 1000)
        engine.execute(HEALTH + "health.spoilt = health.spoilt + 8")
        assert not engine.execute(needs, 101)
        assert engine.execute(needs, 103)
        warmed = engine.execute(
            HEALTH + "local n = 0 health.cure(200, function() n = n + 1 end) return n"
        )
        assert warmed == 1
        engine.execute(HEALTH + "health.spoilt = health.spoilt + 8")
        assert not engine.execute(needs, 203)
        assert engine.execute(needs, 205)


def test_requests_that_wait_make_no_cure_necessary() -> None:
    with Engine() as engine, engine.connect() as client:
        engine.execute(HEALTH + "health.settle(0)")
        before = engine.execute(HEALTH + "return health.aborts")
        engine.execute("function waits(...) require('fiber').sleep(...) return 1 end")
        for seconds in (0, 0, 0.0001) * 200:
            packet = request({0: CALL, 1: 1}, {0x22: "waits", 0x21: [seconds]})
            assert len(client.answers(packet * 20, 20)) == 20
        # There were some, of the kinds that do not matter.
        assert engine.execute(HEALTH + "return health.aborts") > before
        assert not engine.execute(HEALTH + "return health.needs_cure(1e6)")


def test_the_pause_between_cures_has_a_limit() -> None:
    with Engine(warm=False) as engine:
        engine.execute(HEALTH + "for _ = 1, 30 do health.cure(0, function() end) end")
        engine.execute(HEALTH + "health.spoilt = health.spoilt + 100")
        needs = HEALTH + "return health.needs_cure(...)"
        assert not engine.execute(needs, 3599)
        assert engine.execute(needs, 3601)


def test_serving_goes_on_after_a_cure() -> None:
    with Engine() as engine, engine.connect() as client:
        engine.execute("local st = require('beespace.engine.state').st st.stop = 2")
        served(engine, client, ping(1))
        assert [answer.sync for answer in client.packets()] == [1]


def test_errors_about_arguments_do_not_name_the_engines_files() -> None:
    source = (Path(__file__).parents[2] / "data" / "wrong_arguments.lua").read_text()
    with Engine() as fresh:
        called, leaks = fresh.execute(source)
    assert called > 2000
    assert leaks.decode() == ""


def test_wrap_wants_a_function(client: Client) -> None:
    text = "bad argument #1 to '?' (function expected, got number)"
    assert error_of(client.eval("return coroutine.wrap(5)")) == (32, text)
