"""box.iproto.send: packets for other sessions, and the texts of its refusals."""

from __future__ import annotations

import msgpack
import pytest

from tests.helpers.engine import Client, Engine, error_of
from tests.helpers.requests import evaluation


def ask(client: Client, source: str, *arguments: object) -> object:
    (answer,) = client.answers(evaluation(1, source, *arguments), 1)
    return answer.data if answer.type == 0 else error_of(answer)


def test_a_packet_reaches_another_session(engine: Engine, client: Client) -> None:
    with engine.connect() as other:
        source = "return box.iproto.send(..., {request_type = 0x80, SYNC = 7}, {data = {1, 'x'}})"
        assert ask(client, source, other.id) == []
        other.read()
        (packet,) = other.packets()

        assert (packet.type, packet.sync, packet.data) == (0x80, 7, [1, "x"])


def test_raw_bytes_are_sent_as_they_are(engine: Engine, client: Client) -> None:
    header, body = msgpack.packb({0: 76, 1: 3}), msgpack.packb({0x57: "key"})
    texts = ["".join(f"\\{byte:03d}" for byte in part) for part in (header, body)]
    with engine.connect() as other:
        source = "local id, h, b = ..., '{}', '{}' box.iproto.send(id, h, b) box.iproto.send(id, h)"
        ask(client, source.format(*texts), other.id)
        other.read()
        first = b"\xce\0\0\0" + bytes([len(header + body)]) + header + body
        assert bytes(other.buffer) == first + b"\xce\0\0\0" + bytes([len(header)]) + header


def test_the_own_session_gets_it_behind_what_it_asked(client: Client) -> None:
    source = "box.iproto.send(box.session.id(), {request_type = 0x80, sync = 1}) return 2"
    found = client.answers(evaluation(1, source), 2)
    assert sorted(packet.type for packet in found) == [0, 0x80]


@pytest.mark.parametrize(
    ("arguments", "text"),
    [
        ("", "Usage: box.iproto.send(sid, header[, body])"),
        ("1", "Usage: box.iproto.send(sid, header[, body])"),
        ("1, {}, {}, {}", "Usage: box.iproto.send(sid, header[, body])"),
        ("'1', {}", "expected uint64_t as 1 argument"),
        ("-1, {}", "expected uint64_t as 1 argument"),
        ("1.5, {}", "expected uint64_t as 1 argument"),
        ("1, 2", "expected table or string as 2 argument"),
        ("1, {}, 2", "expected table or string as 3 argument"),
    ],
)
def test_wrong_arguments(client: Client, arguments: str, text: str) -> None:
    assert ask(client, f"box.iproto.send({arguments})") == (32, text)


def test_sessions_that_are_not_there(engine: Engine, client: Client) -> None:
    assert ask(client, "box.iproto.send(4711, {})") == (254, "Session 4711 does not exist")
    background = (255, "Session 'background' is not supported")
    assert ask(client, "box.iproto.send(0, {})") == background
    claimed = engine.table.claim(b"127.0.0.1:1", 0, bytes(20))
    assert claimed is not None
    busy = (32, f"the worker of session {claimed} does not keep up")
    assert ask(client, "box.iproto.send(..., {})", claimed) == busy
    engine.table.release(claimed)
    closing = engine.connect()
    closing.send(evaluation(1, "gate = require('fiber').cond() gate:wait()"))
    closing.close()
    assert ask(client, "box.iproto.send(..., {})", closing.id) == (86, "Session is closed")
    engine.execute("gate:broadcast()")
    engine.run_until(lambda: not closing.exists)
