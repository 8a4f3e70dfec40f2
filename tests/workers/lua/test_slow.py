"""Slow requests as Lua counts and logs them; those that do not wait come through the box."""

from __future__ import annotations

import ctypes
from collections.abc import Iterator

import pytest

from tests.helpers.consoles import open_console
from tests.helpers.engine import Client, Engine
from tests.helpers.raw import request
from tests.helpers.requests import evaluation
from tests.workers.lua.tries import tried_again
from workers.slow import PLACES, Box

_SETUP = """
slow, bridge = require('beespace.engine.slow'), require('beespace.bridge')
wait = require('beespace.engine.fibers').suspend
st, sys = require('beespace.engine.state').st, require('beespace.engine.sys')
lines, log_request, log = {}, bridge.log_request, bridge.log
bridge.log_request = function(level, event, id, user, peer, request, seconds)
  lines[#lines + 1] = ('%s %s %d %s %s [%s] %s'):format(level, event, id, tostring(user),
    tostring(peer), request, seconds >= 0.02 and seconds < 5 and 'long' or tostring(seconds))
end
bridge.log = function(level, text) lines[#lines + 1] = level .. ' ' .. text end
slow.set(0.02)
st.next_tick = 1e300
"""


@pytest.fixture(autouse=True)
def _logged(engine: Engine) -> Iterator[None]:
    engine.execute(_SETUP)
    engine.row.slow = 0
    yield
    engine.execute("slow.set(0) slow.tick() bridge.log_request, bridge.log = log_request, log")
    engine.execute("st.next_tick = 0")


@pytest.fixture
def box(engine: Engine) -> Box:
    return Box.from_address(int(engine.call_main("slow")[0]))


def lines(engine: Engine) -> list[str]:
    text = engine.execute("local all = table.concat(lines, '\\n') lines = {} return all")
    return str(text.decode()).splitlines()


def line(client: Client, request: str, user: str = "guest") -> str:
    return f"warn slow request {client.id} {user} 127.0.0.1:4000 [{request}] long"


def test_a_request_that_waits(engine: Engine, client: Client) -> None:
    client.answers(evaluation(1, "wait(0.04)"), 1)
    assert lines(engine) == [line(client, "eval wait(0.04)")]
    assert engine.row.slow == 1


_HIDDEN = "(not shown: it may have a password in it)"
_BEHIND = "wait(0.04) local x = 'hunter2' " + "local y = 1 " * 6


@pytest.mark.parametrize("word", ["passwd", "Password", "SECRET"])
def test_a_source_with_a_password_behind_what_is_shown(
    engine: Engine, client: Client, word: str
) -> None:
    client.answers(evaluation(1, f"{_BEHIND} local {word}"), 1)
    assert lines(engine) == [line(client, f"eval {_HIDDEN}")]


def test_a_long_source_without_one_is_cut(engine: Engine, client: Client) -> None:
    source = f"{_BEHIND} local passing, secre"
    client.answers(evaluation(1, source), 1)
    assert lines(engine) == [line(client, f"eval {source[:80]}...")]


def test_a_statement_with_a_password_behind_what_is_shown(engine: Engine) -> None:
    with open_console(engine) as console:
        console.say(f"{_BEHIND} local Password\n1 + 1\n")
        engine.run_until(lambda: b"- 2" in console.came())
        (said,) = lines(engine)
        assert f"[console: {_HIDDEN}]" in said


def test_a_call_of_another_user(engine: Engine, client: Client) -> None:
    engine.execute("function nap() wait(0.04) end")
    client.slot.uid = 1
    client.answers(request({0: 10, 1: 1}, {0x22: "nap", 0x21: ["secret"]}), 1)
    assert lines(engine) == [line(client, "call nap", "admin")]


def test_a_user_that_is_gone_has_no_name(engine: Engine, client: Client) -> None:
    client.offer(evaluation(1, "wait(0.04)"))
    engine.turn()
    client.slot.uid = 77
    client.answers(b"", 1)
    assert lines(engine) == [line(client, "eval wait(0.04)", "nil")]


def test_one_that_is_fast_enough(engine: Engine, client: Client) -> None:
    engine.execute("slow.set(30)")
    client.answers(evaluation(1, "wait(0.001)") + evaluation(2, "return 1"), 2)
    assert lines(engine) == []
    assert engine.row.slow == 0


def test_what_it_computes_before_it_waits_counts(engine: Engine, client: Client) -> None:
    spin = "local e = sys.clock(1) + 0.03 while sys.clock(1) < e do end wait(0.001)"
    client.answers(evaluation(1, spin), 1)
    assert lines(engine) == [line(client, f"eval {spin}")]


def test_one_that_raises_or_loses_its_client(engine: Engine, client: Client) -> None:
    client.answers(evaluation(1, "wait(0.03) error('no')"), 1)
    with engine.connect() as other:
        other.offer(evaluation(1, "wait(0.04)"))
        engine.turn()
        number = other.id
    engine.run_until(lambda: engine.row.slow == 2)
    assert lines(engine)[1] == (
        f"warn slow request {number} guest 127.0.0.1:4000 [eval wait(0.04)] long"
    )


@tried_again
def test_waiting_for_a_stream_does_not_count(engine: Engine, client: Client) -> None:
    client.answers(
        evaluation(1, "wait(0.04)", stream=7)
        + evaluation(2, "wait(0.001)", stream=7)
        + evaluation(3, "wait(0.03) return 3", stream=7),
        3,
    )
    assert lines(engine) == [
        line(client, "eval wait(0.04)"),
        line(client, "eval wait(0.03) return 3"),
    ]


@tried_again
def test_requests_that_are_behind_a_slow_one_are_not_slow(engine: Engine) -> None:
    """Those of other sessions: their time begins when its batch has ended."""
    with engine.connect() as first, engine.connect() as second:
        spin = "local e = sys.clock(1) + 0.03 while sys.clock(1) < e do end"
        first.offer(evaluation(1, spin))
        second.offer(evaluation(1, "wait(0.001)"))
        engine.run_until(lambda: second.take() > 0)
    assert lines(engine) == []


def test_nothing_is_noted_without_a_limit(engine: Engine, client: Client) -> None:
    engine.apply({"log.slow_request": 0})
    client.answers(evaluation(1, "wait(0.03)"), 1)
    assert lines(engine) == []
    assert engine.execute("return slow.limit") == 1e300


def test_a_limit_that_comes_meanwhile_is_for_those_that_begin_then(
    engine: Engine, client: Client
) -> None:
    engine.apply({"log.slow_request": 0})
    client.offer(evaluation(1, "wait(0.04)"))
    engine.turn()
    engine.apply({"log.slow_request": 0.02})
    client.answers(b"", 1)
    assert lines(engine) == []
    assert engine.execute("return box.cfg.too_long_threshold") == 0.02


def test_a_statement_of_a_console(engine: Engine) -> None:
    with open_console(engine) as console:
        console.say("wait(0.04)\n1 + 1\n")
        engine.run_until(lambda: b"- 2" in console.came())
        assert lines(engine) == [
            f"warn slow request {console.id} admin 127.0.0.1:4001 [console: wait(0.04)] long"
        ]
    assert engine.row.slow == 1


def test_ten_of_them_are_named_and_all_are_counted(engine: Engine, client: Client) -> None:
    data = b"".join(evaluation(sync, "wait(0.03)") for sync in range(1, 9))
    client.answers(data, 8)
    assert len(lines(engine)) == 5
    engine.execute("slow.tick()")
    assert lines(engine) == ["warn 3 more slow requests"]
    assert engine.row.slow == 8


# What the watchdog has seen ----------------------------------------------------------------------


def put(box: Box, session: int, *, batch: int = 1, i: int = 30, uid: int = 0) -> None:
    item = box.items[box.put % PLACES]
    item.session, item.seconds, item.batch, item.i, item.uid = session, 0.5, batch, i, uid
    item.peer, item.request = b"127.0.0.1:4000", b"call spin"
    box.put += 1


def test_both_languages_mean_the_same_box(engine: Engine) -> None:
    found = engine.execute(
        "local ffi = require('ffi') return ffi.sizeof('bee_slow_box_t'), ffi.sizeof('bee_slow_t'),"
        " ffi.offsetof('bee_slow_t', 'peer'), ffi.offsetof('bee_slow_t', 'request')"
    )
    item = Box().items[0]
    kind = type(item)
    assert tuple(found) == (
        ctypes.sizeof(Box),
        ctypes.sizeof(kind),
        kind.peer.offset,
        kind.request.offset,
    )


def test_the_addresses_of_the_times(engine: Engine) -> None:
    _, woke, mark = (int(address) for address in engine.call_main("slow"))
    engine.execute("st.woke, st.mark = 11.5, 12.5")
    assert ctypes.c_double.from_address(woke).value == 11.5
    assert ctypes.c_double.from_address(mark).value == 12.5


def test_what_was_put_into_the_box_is_reported(engine: Engine, client: Client, box: Box) -> None:
    put(box, client.id)
    put(box, client.id, i=60, uid=1)
    engine.execute("slow.tick()")
    assert lines(engine) == [line(client, "call spin"), line(client, "call spin", "admin")]
    assert engine.row.slow == 2
    engine.execute("slow.tick()")
    assert lines(engine) == []


def test_the_box_is_a_ring(engine: Engine, client: Client, box: Box) -> None:
    for turn in range(2 * PLACES):
        put(box, client.id, i=turn)
        engine.execute("slow.tick()")
    assert len(lines(engine)) == engine.row.slow == 2 * PLACES


def test_what_had_no_room_is_counted(engine: Engine, box: Box) -> None:
    box.missed += 4
    engine.execute("slow.tick()")
    assert engine.row.slow == 4


def test_a_request_that_computed_and_then_waits_is_reported_once(
    engine: Engine, client: Client, box: Box
) -> None:
    spin = "local e = sys.clock(1) + 0.03 while sys.clock(1) < e do end wait(0.01)"
    data = evaluation(1, spin)
    client.offer(data)
    engine.turn()
    put(box, client.id, batch=int(engine.execute("return st.batch")), i=len(data))
    engine.execute("slow.tick()")
    assert lines(engine) == []
    client.answers(b"", 1)
    assert lines(engine) == [line(client, f"eval {spin}")]
    assert engine.row.slow == 1
