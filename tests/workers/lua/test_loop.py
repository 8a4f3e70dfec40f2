"""The loop: framing, batches and counters, with real sockets."""

from __future__ import annotations

import ctypes
import gc
import struct
from pathlib import Path

import pytest

from tests.helpers.engine import Client, Engine, echo, error_of, errors_of
from tests.helpers.raw import CALL, EVAL, SELECT, frame, pack, ping, request

KEEP = 1 << 20
HEADER_ERROR = (20, "Invalid MsgPack - packet header")
LENGTH_ERROR = (20, "Invalid MsgPack - packet length")
PING_BODY = bytes.fromhex("8200400101")
SELECT_BODY = {0x10: 281, 0x12: 10, 0x20: []}


def resident() -> int:
    """Memory of this process without what malloc has free, bytes."""
    gc.collect()
    ctypes.CDLL(None).malloc_trim(0)
    return int(Path("/proc/self/statm").read_text(encoding="ascii").split()[1]) * 4096


# Framing -----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "prefix",
    ["05", "cc05", "cd0005", "ce00000005", "cf0000000000000005"],
)
def test_a_length_of_any_width(client: Client, prefix: str) -> None:
    data = bytes.fromhex(prefix) + PING_BODY

    assert [answer.sync for answer in client.exchange(data * 3)] == [1, 1, 1]


@pytest.mark.parametrize("prefix", ["05", "cc05", "cd0005", "ce00000005", "cf0000000000000005"])
def test_pieces_of_every_size(client: Client, prefix: str) -> None:
    data = (bytes.fromhex(prefix) + PING_BODY + echo(2, ["x", 1])) * 3
    for size in (1, 2, 3, 5, 7, 11, 23):
        answers = []
        for at in range(0, len(data), size):
            answers += client.exchange(data[at : at + size])
        assert [answer.sync for answer in answers] == [1, 2] * 3
        assert client.held() == (0, 0)


def test_nothing_is_answered_before_the_last_byte(client: Client) -> None:
    data = echo(9, "text")
    for byte in data[:-1]:
        assert client.exchange(bytes([byte])) == []
    assert client.exchange(data[-1:])[0].data == ["text"]


@pytest.mark.parametrize("size", [KEEP - 100, KEEP, KEEP + 1, 3 * KEEP + 7, 20_000_000])
@pytest.mark.parametrize("piece", [65_536, 1 << 20])
def test_a_packet_longer_than_a_receive(client: Client, size: int, piece: int) -> None:
    value = bytes(range(256)) * (size // 256 + 1)
    data = ping(1) + echo(2, value[:size]) + ping(3) * 2
    for at in range(0, len(data), piece):
        client.send(data[at : at + piece])
    first, second, *rest = client.packets()

    assert (first.sync, second.sync, [answer.sync for answer in rest]) == (1, 2, [3, 3])
    assert second.data[0] == value[:size]
    assert client.held() == (0, 0)


def test_long_packets_of_several_sessions_at_once(engine: Engine) -> None:
    clients = [engine.connect() for _ in range(3)]
    packets = [echo(k, bytes([k]) * (2_500_000 + k)) for k in range(3)]
    for at in range(0, 2_600_000, 100_000):
        for client, data in zip(clients, packets, strict=True):
            client.send(data[at : at + 100_000])
    for number, client in enumerate(clients):
        (answer,) = client.packets()
        assert answer.data == [bytes([number]) * (2_500_000 + number)]
        client.close()


def test_a_length_alone_takes_no_memory(client: Client) -> None:
    client.send(struct.pack(">BI", 0xCE, 60_000_000) + bytes.fromhex("82000a"))

    assert client.held()[0] < 100
    assert client.exists


def test_memory_of_long_packets_is_given_back(client: Client) -> None:
    client.exchange(echo(1, b"x" * 1_000_000))
    before = resident()
    for _ in range(3):
        client.exchange(echo(1, b"x" * 30_000_000))
    client.engine.execute("collectgarbage() collectgarbage()")

    assert resident() - before < 20_000_000


def test_length_zero(client: Client) -> None:
    assert client.exchange(b"\x00") == []
    first, second = client.exchange(ping(7))

    assert (error_of(first), first.sync) == (HEADER_ERROR, 0)
    assert (second.type, second.sync) == (0, 7)


def test_length_zero_does_not_read_what_follows(client: Client) -> None:
    """The bytes behind an empty packet look like a header, but they are no part of it."""
    answers = client.exchange(b"\x00" + PING_BODY)

    assert errors_of(answers) == [HEADER_ERROR, LENGTH_ERROR]
    assert [answer.sync for answer in answers] == [0, 0]


@pytest.mark.parametrize("byte", [0x80, 0x90, 0xA1, 0xC0, 0xC1, 0xCA, 0xD0, 0xD3, 0xDB, 0xFF])
def test_a_broken_prefix_ends_the_session(client: Client, byte: int) -> None:
    before = client.engine.row.protocol_errors
    answers = client.exchange(ping(1) + bytes([byte]) + b"garbage" * 10)

    assert errors_of(answers) == [(0, ""), LENGTH_ERROR]
    assert client.ended
    assert not client.exists
    assert client.engine.row.protocol_errors == before + 1
    client.close()


@pytest.mark.parametrize(
    "bad", ["ce80000001", "ce04000001", "cf0000010000000000", "cfffffffffffffffff"]
)
def test_a_length_beyond_the_limit(client: Client, bad: str) -> None:
    prefix = bytes.fromhex(bad)
    length = int.from_bytes(prefix[1:], "big")
    text = "Invalid MsgPack - too big packet size in the header: "
    assert client.exchange(prefix) == []
    (answer,) = client.exchange(b"x")

    assert answer.code == 20
    assert answer.text.startswith(text)
    assert float(answer.text.removeprefix(text)) == float(length)
    assert client.ended


def test_the_limit_itself() -> None:
    with Engine(max_packet=1000, warm=False) as engine, engine.connect() as client:
        data = echo(1, "x" * 900)
        room = 1000 - (len(data) - 5)
        assert client.exchange(echo(1, "x" * (900 + room)))[0].code == 0
        (answer,) = client.exchange(echo(1, "x" * (901 + room)))
        assert answer.text == "Invalid MsgPack - too big packet size in the header: 1001"
        assert client.ended


# Batches -----------------------------------------------------------------------------------------


def test_a_pipeline_is_answered_in_order(client: Client) -> None:
    data = b"".join(echo(k, k) if k % 3 else ping(k) for k in range(1, 30_001))
    answers = client.exchange(data)

    assert [answer.sync for answer in answers] == list(range(1, 30_001))
    assert all(answer.data == [answer.sync] for answer in answers if answer.sync % 3)


def test_errors_inside_a_pipeline(client: Client) -> None:
    bad = frame(pack({0: CALL, 1: 5}) + b"\x82\x22")
    undefined = request({0: CALL, 1: 6}, {0x22: "nosuch", 0x21: []})
    raising = request({0: EVAL, 1: 7}, {0x27: "error('boom', 0)", 0x21: []})
    answers = client.exchange((ping(1) + bad + undefined + raising + echo(8, 8)) * 500)

    assert [answer.sync for answer in answers] == [1, 5, 6, 7, 8] * 500
    assert (
        errors_of(answers)
        == [
            (0, ""),
            (20, "Invalid MsgPack - packet body"),
            (33, "Procedure 'nosuch' is not defined"),
            (32, "boom"),
            (0, ""),
        ]
        * 500
    )


def test_sessions_do_not_mix(engine: Engine) -> None:
    clients = [engine.connect() for _ in range(10)]
    ask = request({0: CALL, 1: 3}, {0x22: "box.session.id", 0x21: []})
    for turn in range(20):
        for client in clients:
            client.offer(ask * (turn + 1))
        for client in clients:
            client.read()
            assert [answer.data for answer in client.packets()] == [[client.id]] * (turn + 1)
    for client in clients:
        client.close()


def test_outside_of_requests_no_session_is_current(client: Client) -> None:
    current = "local c = require('beespace.engine.state').cur return c.id, c.fd"
    client.in_step()
    assert client.engine.execute(current) == (0, -1)
    client.offer(echo(1, b"x" * 3_000_000)[:200_000])
    client.engine.run()
    assert client.engine.execute(current) == (0, -1)


# Counters ----------------------------------------------------------------------------------------

NAMES = ("requests", "pings", "calls", "evals", "selects", "auths", "others", "errors")


def figures(engine: Engine) -> dict[str, int]:
    names = (*NAMES, "bytes_in", "bytes_out", "protocol_errors")
    return {name: int(getattr(engine.row, name)) for name in names}


def test_counters_agree_with_what_was_sent(engine: Engine) -> None:
    before = figures(engine)
    client = engine.connect()
    data = (
        ping(1) * 3
        + request({0: CALL, 1: 2}, {0x22: "box.session.id"}) * 2
        + request({0: 6, 1: 2}, {0x22: "box.session.id"})
        + echo(3, 3) * 4
        + request({0: SELECT, 1: 4}, SELECT_BODY)
        + request({0: 7, 1: 5}, {0x23: "guest", 0x21: []})
        + request({0: 73, 1: 6}, {0x54: 1, 0x55: []})
        + request({0: CALL, 1: 2}, {0x22: "nosuch"})
        + frame(b"\x90")
    )
    answers = client.exchange(data)
    now = figures(engine)
    grown = {name: now[name] - before[name] for name in now}

    assert len(answers) == 15
    assert grown == {
        "requests": 14,
        "pings": 3,
        "calls": 4,
        "evals": 4,
        "selects": 1,
        "auths": 1,
        "others": 1,
        "errors": 2,
        "bytes_in": len(data),
        "bytes_out": sum(len(a.length_bytes) + 23 + len(a.body_bytes) for a in answers),
        "protocol_errors": 1,
    }
    assert (client.slot.requests, client.slot.bytes_in) == (14, len(data))
    assert client.slot.bytes_out == grown["bytes_out"]
    client.close()


def test_counters_of_a_batch_that_is_sent_early(engine: Engine) -> None:
    with engine.connect() as client:
        client.exchange(request({0: EVAL, 1: 1}, {0x27: "return ('z'):rep(100000)"}) * 50)

        assert client.slot.requests == 50


def test_the_heartbeat_moves(engine: Engine) -> None:
    before = engine.row.heartbeat
    engine.turn()
    assert engine.row.heartbeat == before + 1


def test_the_end_of_the_intake_is_not_the_end_of_the_loop() -> None:
    with Engine(warm=False) as engine, engine.connect() as client:
        engine.acceptor.close()
        assert engine.run() > 0
        assert engine.run() == 0
        assert client.in_step()
