"""Requests that the application answers itself: engine/override as box.iproto.override sets it."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.helpers.engine import Client, Engine, error_of, errors_of
from tests.helpers.raw import EVAL, PING, Packet, frame, pack, request

RESET = """
for _, kind in ipairs({64, 8, 10, 1, 7, 73, 12, 14, 11, 777, 778, 0, -1}) do
  box.iproto.override(kind, nil)
end
for _, name in ipairs({'ping', 'eval', 'unknown', 'execute', 'ok'}) do
  box.iproto.override(name, nil)
end
return require('beespace.engine.state').st.overrides
"""


@pytest.fixture(autouse=True)
def _reset(engine: Engine) -> Iterator[None]:
    yield
    assert engine.execute(RESET) == 0


def set_override(engine: Engine, kind: str, body: str) -> None:
    engine.execute(f"box.iproto.override({kind}, function(header, body) {body} end)")


def ask(client: Client, header: dict[int, int], body: object = None) -> tuple[int, str]:
    (answer,) = client.exchange(request({1: 5, **header}, body))
    return error_of(answer)


KINDS = [1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 13, 64, 67, 68, 73, 74, 75, 777]


@pytest.mark.parametrize("kind", KINDS)
def test_any_type(client: Client, kind: int) -> None:
    set_override(client.engine, str(kind), "seen = {header, body} return true")
    header = {0: kind, 1: 1, 0x10: 2, 0x11: 3}
    assert client.exchange(request(header, {0x2B: {7: 3}, 0x43: 4, 0x40: "text"})) == []
    check = """
        local h, b = seen[1], seen[2]
        return h.sync, h.SPACE_ID, h[box.iproto.key.INDEX_ID], b.options[7], b.STMT_ID,
          b[box.iproto.key.SQL_TEXT]"""
    assert client.engine.execute(check) == (1, 2, 3, 3, 4, b"text")
    assert client.exchange(request(header)) == []
    assert client.engine.execute("return next(seen[2]:decode())") is None
    client.engine.execute("box.iproto.override(...)", kind)


@pytest.mark.parametrize("form", ["'ping'", "'PiNg'", "64", "64.0"])
def test_ways_to_name_a_type(client: Client, form: str) -> None:
    set_override(client.engine, form, "error('mine', 0)")
    assert ask(client, {0: PING}) == (32, "mine")
    client.engine.execute(f"box.iproto.override({form}, nil)")
    assert client.in_step()


def test_every_form_of_a_packet(client: Client) -> None:
    set_override(client.engine, "'eval'", "count = (count or 0) + 1 return true")
    bodies = [{0x27: "return 1", 0x21: []}, {0x21: [], 0x27: "return 1"}, None, {0x27: 5}]
    data = b"".join(
        frame(pack(header) + (pack(body) if body is not None else b""))
        for header in ({0: EVAL, 1: 5}, {1: 2**40, 0: EVAL}, {5: 1, 0: EVAL}, {0: EVAL, 10: 0})
        for body in bodies
    )
    assert client.exchange(data) == []
    assert client.engine.execute("return count") == 16


def test_false_goes_on_to_the_server(client: Client) -> None:
    set_override(client.engine, "8", "return false")
    set_override(client.engine, "10", "return false")
    set_override(client.engine, "64", "return false")
    assert client.eval("return ...", 1, 2).data == [1, 2]
    assert client.call("math.max", 3, 2, 1, 5).data == [5]
    assert client.in_step()
    assert ask(client, {0: EVAL}, {0x27: 5}) == (20, "Invalid MsgPack - packet body")


def test_by_number_then_by_name(client: Client) -> None:
    set_override(client.engine, "64", "order = {'number'} return false")
    set_override(client.engine, "'ping'", "table.insert(order, 'name') return false")
    assert client.in_step()
    assert client.engine.execute("return unpack(order)") == (b"number", b"name")
    set_override(client.engine, "64", "order = {'number'} return true")
    assert client.exchange(request({0: PING, 1: 1})) == []
    assert client.engine.execute("return unpack(order)") == b"number"


def test_unknown_types(client: Client) -> None:
    set_override(client.engine, "'unknown'", "error('unknown ' .. header[0], 0)")
    assert ask(client, {0: 777}) == (32, "unknown 777")
    assert ask(client, {0: 0}) == (32, "unknown 0")
    assert client.in_step()
    set_override(client.engine, "777", "error('number ' .. header[0], 0)")
    assert ask(client, {0: 777}) == (32, "number 777")
    assert ask(client, {0: 778}) == (32, "unknown 778")
    set_override(client.engine, "777", "return false")
    assert ask(client, {0: 777}) == (32, "unknown 777")
    set_override(client.engine, "box.iproto.type.UNKNOWN", "error('first', 0)")
    assert ask(client, {0: 777}) == (32, "first")
    set_override(client.engine, "'ok'", "error('ok', 0)")
    assert ask(client, {0: 0}) == (32, "ok")


@pytest.mark.parametrize(
    ("body", "error"),
    [
        ("box.error{reason = 'test', code = 777}", (777, "test")),
        ("error('test', 0)", (32, "test")),
        ("error(box.error.new(box.error.NO_SUCH_USER, 'x'))", (45, "User 'x' is not found")),
        (
            "return box.NULL",
            (32, "Invalid Lua IPROTO handler return type: expected boolean"),
        ),
        ("return", (32, "Invalid Lua IPROTO handler return type: expected boolean")),
        ("return 1", (32, "Invalid Lua IPROTO handler return type: expected boolean")),
    ],
)
def test_errors_are_answers(client: Client, body: str, error: tuple[int, str]) -> None:
    set_override(client.engine, "64", body)
    assert ask(client, {0: PING}) == error
    assert errors_of(client.exchange(request({0: PING, 1: 1}) * 3)) == [error] * 3


def test_malformed_packets_never_reach_it(client: Client) -> None:
    for kind in (64, 8, 7, 14, 777):
        set_override(client.engine, str(kind), "reached = true return true")
    for kind in (64, 8, 777):
        (answer,) = client.exchange(frame(pack({0: kind, 1: 5}) + b"\x81\x01"))
        assert error_of(answer) == (20, "Invalid MsgPack - packet body")
    assert ask(client, {0: 7, 10: 1}) == (229, "Unable to process AUTH request in stream")
    assert ask(client, {0: 14}) == (230, "Unable to process BEGIN request out of stream")
    assert client.engine.execute("return reached") is None
    assert client.exchange(request({0: 14, 1: 1, 10: 1})) == []
    assert client.engine.execute("return reached") is True


def test_a_batch_of_both_kinds(client: Client) -> None:
    set_override(client.engine, "64", "return header.sync % 2 == 0")
    data = b"".join(request({0: PING, 1: sync}) for sync in range(1, 9))
    assert [answer.sync for answer in client.exchange(data)] == [1, 3, 5, 7]


def test_a_callback_sees_its_session(client: Client) -> None:
    set_override(client.engine, "64", "seen = {box.session.id(), box.session.sync()} return false")
    client.exchange(request({0: PING, 1: 77}))
    assert client.engine.execute("return unpack(seen)") == (client.id, 77)


def test_an_answer_of_its_own(client: Client) -> None:
    set_override(
        client.engine,
        "box.iproto.type.SELECT",
        """
        if body.space_id ~= 512 then return false end
        box.iproto.send(box.session.id(), {request_type = box.iproto.type.OK, sync = header.SYNC},
          {data = {1, 2, 3}})
        return true
        """,
    )
    data = [request({0: 1, 1: sync}, {0x10: space, 0x12: 1, 0x20: []})
            for sync, space in ((1, 512), (2, 341), (3, 512))]  # fmt: skip
    answers = client.answers(b"".join(data), 3)
    assert {answer.sync: answer.data for answer in answers} == {1: [1, 2, 3], 2: [], 3: [1, 2, 3]}
    assert answers[0].header == {0: 0, 1: 1}


# Callbacks that wait -----------------------------------------------------------------------------

WAIT = "wait(0.001)"


@pytest.fixture(autouse=True)
def _wait(engine: Engine) -> None:
    engine.execute("wait = require('beespace.engine.fibers').suspend")


def told(answers: list[Packet]) -> list[tuple[int, int, str]]:
    """Sync, code and text of answers, in order of their syncs."""
    return sorted((answer.sync, *error_of(answer)) for answer in answers)


def test_a_callback_that_waits(client: Client) -> None:
    for kind in (64, 8, 1, 73, 777):
        set_override(client.engine, str(kind), f"{WAIT} return header.sync > 10")
    source = {0x27: "return box.session.sync()", 0x21: []}
    data = [
        request({0: 64, 1: 1}),
        request({0: 8, 1: 2}, source),
        request({0: 8, 1: 3}, {0x21: [], 0x27: "error('mine', 0)"}),
        request({0: 8, 1: 4}, {0x27: WAIT, 0x21: []}),
        request({0: 1, 1: 5}, {0x10: 281, 0x12: 1, 0x20: []}),
        request({0: 73, 1: 6}, {0x54: 6}),
        request({0: 777, 1: 7}),
        request({0: 73, 1: 8}, {0x54: "x"}),
        request({0: 64, 1: 11}),
        request({0: 8, 1: 12}, source),
    ]
    assert told(client.answers(b"".join(data), 8)) == [
        (1, 0, ""),
        (2, 0, ""),
        (3, 32, "mine"),
        (4, 0, ""),
        (5, 0, ""),
        (6, 0, ""),
        (7, 48, "Unknown request type 777"),
        (8, 20, "Invalid MsgPack - request body"),
    ]
    client.engine.run_until(lambda: client.slot.in_flight == 0)


def test_a_callback_that_waits_and_fails(client: Client) -> None:
    set_override(client.engine, "64", f"{WAIT} error('late', 0)")
    answers = client.answers(request({0: 64, 1: 1}) + request({0: 64, 1: 2}), 2)
    assert told(answers) == [(1, 32, "late"), (2, 32, "late")]
    assert client.slot.in_flight == 0


def test_a_callback_that_is_removed_meanwhile(client: Client) -> None:
    set_override(client.engine, "64", f"{WAIT} box.iproto.override(64, nil) return false")
    assert told(client.answers(request({0: 64, 1: 1}), 1)) == [(1, 0, "")]
    set_override(client.engine, "64", "return true")
    assert client.exchange(request({0: PING, 1: 2})) == []


def test_requests_of_a_stream_keep_their_order(client: Client) -> None:
    client.eval("order = {}")
    set_override(client.engine, "8", f"{WAIT} return false")
    data = b"".join(
        request({0: 8, 1: sync, 10: 3}, {0x27: "table.insert(order, ...)", 0x21: [sync]})
        for sync in range(1, 6)
    )
    answers = client.answers(data, 5)
    assert [answer.sync for answer in answers] == [1, 2, 3, 4, 5]
    assert client.engine.execute("return unpack(order)") == (1, 2, 3, 4, 5)
    assert client.slot.in_flight == 0


def test_a_client_that_leaves_meanwhile(engine: Engine) -> None:
    engine.execute("gate = require('fiber').cond()")
    set_override(engine, "8", "gate:wait() return false")
    with engine.connect() as client:
        client.socket.sendall(request({0: 8, 1: 1}, {0x27: "reached_late = true", 0x21: []}))
        engine.turn()
    engine.execute("gate:broadcast()")
    engine.run_until(lambda: not client.exists)
    assert engine.execute("return reached_late") is None
