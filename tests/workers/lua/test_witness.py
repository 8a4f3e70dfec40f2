"""The access log: lines for a share of the requests."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.helpers.consoles import open_console
from tests.helpers.engine import Client, Engine, error_of, errors_of
from tests.helpers.raw import PING, SELECT, ping, request
from tests.helpers.requests import evaluation

_SETUP = """
wait = require('beespace.engine.fibers').suspend
bridge = require('beespace.bridge')
lines, log_request, log = {}, bridge.log_request, bridge.log
bridge.log_request = function(level, event, id, user, peer, request, seconds, outcome)
  assert(level == 'info' and event == 'request' and seconds >= 0 and seconds < 5)
  lines[#lines + 1] = ('%d %s %s [%s] %s'):format(id, tostring(user), tostring(peer), request,
    tostring(outcome))
end
bridge.log = function(level, text) lines[#lines + 1] = level .. ' ' .. text end
"""


@pytest.fixture(autouse=True)
def _logged(engine: Engine) -> Iterator[None]:
    engine.execute(_SETUP)
    engine.apply({"log.access": 1})
    yield
    engine.apply({"log.access": 0})
    engine.execute("bridge.log_request, bridge.log = log_request, log")
    assert engine.execute("return require('beespace.engine.state').st.overrides") == 0


def lines(engine: Engine) -> list[str]:
    text = engine.execute("local all = table.concat(lines, '\\n') lines = {} return all")
    return str(text.decode()).splitlines()


def line(client: Client, request: str, outcome: str = "ok", user: str = "guest") -> str:
    return f"{client.id} {user} 127.0.0.1:4000 [{request}] {outcome}"


def test_every_kind_of_request(engine: Engine, client: Client) -> None:
    client.call("math.max", 1, 2)
    client.eval("return 1")
    client.request(PING)
    client.request(SELECT, {0x10: 281, 0x11: 0, 0x12: 1, 0x13: 0, 0x14: 0, 0x20: []})
    assert lines(engine) == [
        line(client, "call math.max"),
        line(client, "eval return 1"),
        line(client, "ping"),
        line(client, "select"),
    ]


def test_answers_are_what_they_were(engine: Engine, client: Client) -> None:
    data = evaluation(1, "return 1") + ping(2) + evaluation(3, "error('no', 0)") + ping(4)
    with_log = client.exchange(data)
    engine.apply({"log.access": 0})
    without = client.exchange(data)
    assert [(a.sync, a.body) for a in with_log] == [(a.sync, a.body) for a in without]
    assert errors_of(with_log) == errors_of(without)


@pytest.mark.parametrize(
    ("source", "code"),
    [("error('no')", 32), ("box.error(45, 'bob')", 45), ("wait(0) error({})", 32)],
)
def test_how_it_ended(engine: Engine, client: Client, source: str, code: int) -> None:
    (answer,) = client.answers(evaluation(1, source), 1)
    assert error_of(answer)[0] == code
    assert lines(engine) == [line(client, f"eval {source}", f"error {code}")]


def test_a_packet_that_cannot_be_read(engine: Engine, client: Client) -> None:
    answer = client.request(10, {0x22: "math.max", 0x21: 5})
    assert answer.code == 20
    assert lines(engine)[0] == line(client, "call math.max", "error 20")


def test_one_that_waits_has_its_line_at_the_end(engine: Engine, client: Client) -> None:
    engine.execute("gate = require('fiber').cond()")
    client.offer(evaluation(1, "gate:wait() return 7") + ping(2))
    engine.turn()
    assert lines(engine) == [line(client, "ping")]
    engine.execute("gate:broadcast()")
    client.answers(b"", 2)
    assert lines(engine) == [line(client, "eval gate:wait() return 7")]


def test_requests_of_a_stream(engine: Engine, client: Client) -> None:
    before = engine.row.streams_ever
    answers = client.answers(
        evaluation(1, "wait(0.01) return 1", stream=7) + evaluation(2, "return 2", stream=7), 2
    )
    assert [answer.data for answer in answers] == [[1], [2]]
    assert lines(engine) == [
        line(client, "eval wait(0.01) return 1"),
        line(client, "eval return 2"),
    ]
    assert engine.row.streams_ever == before + 1


def test_callbacks_of_the_application_are_asked_once(engine: Engine, client: Client) -> None:
    engine.execute(
        "asked = 0 box.iproto.override(64, function() asked = asked + 1 return false end)"
    )
    try:
        client.exchange(ping(1) + ping(2))
    finally:
        engine.execute("box.iproto.override(64, nil)")
    assert engine.execute("return asked") == 2
    assert lines(engine) == [line(client, "ping"), line(client, "ping")]


def test_a_share_of_them(engine: Engine, client: Client) -> None:
    engine.apply({"log.access": 0.25})
    client.exchange(b"".join(ping(sync % 100) for sync in range(1, 1001)))
    assert 150 < len(lines(engine)) < 350


def test_lines_are_bounded(engine: Engine, client: Client) -> None:
    # Ticks of the loop would begin a new second.
    engine.execute("st = require('beespace.engine.state').st st.next_tick = 1e300")
    engine.execute("require('beespace.engine.witness').tick()")
    client.exchange(b"".join(ping(sync % 100) for sync in range(1, 1001)))
    engine.execute("require('beespace.engine.witness').tick() st.next_tick = 0")
    found = lines(engine)
    assert (len(found), found[-1]) == (501, "info 500 more requests")


def test_a_statement_of_a_console(engine: Engine) -> None:
    with open_console(engine) as console:
        console.say("1 + 1\n")
        assert lines(engine) == [f"{console.id} admin 127.0.0.1:4001 [console: 1 + 1] nil"]


def test_a_login_is_the_new_users(engine: Engine, client: Client) -> None:
    client.eval("box.session.su('admin')")
    client.request(PING)
    assert lines(engine)[1] == line(client, "ping", user="admin")


def test_without_a_share_nothing_is_looked_at(engine: Engine, client: Client) -> None:
    engine.apply({"log.access": 0})
    assert engine.execute("return require('beespace.engine.state').st.overrides") == 0
    client.exchange(evaluation(1, "return 1") + request({0: PING, 1: 2}))
    assert lines(engine) == []


def test_the_warm_up_is_not_logged() -> None:
    with Engine(warm=False) as engine:
        engine.execute(_SETUP)
        engine.apply({"log.access": 1})
        engine.call_main("warm")
        assert lines(engine) == []
        engine.execute("bridge.log_request, bridge.log = log_request, log")
