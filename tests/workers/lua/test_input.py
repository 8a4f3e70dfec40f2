"""Receiving: what a session keeps between the pieces of a packet."""

from __future__ import annotations

import struct
import time
from typing import Any

import pytest

from tests.helpers.engine import Client
from tests.helpers.raw import EVAL, ping, request

RECEIVE = 1 << 20


def kept(client: Client) -> dict[str, Any] | None:
    found = client.engine.execute(
        """
        local b = require('beespace.engine.sessions').all[...].buffers
        if b == nil or b.input == nil then return nil end
        return b.input_len, b.input_cap, b.need
        """,
        client.fd,
    )
    return None if found is None else dict(zip(("len", "cap", "need"), found, strict=True))


@pytest.mark.parametrize("width", [1, 2, 3, 4])
def test_an_unfinished_prefix_is_kept_as_it_is(client: Client, width: int) -> None:
    client.send(ping(1)[:width])
    assert kept(client) == {"len": width, "cap": width, "need": 0}
    client.send(ping(1)[width:])
    assert kept(client) is None
    assert [answer.sync for answer in client.packets()] == [1]


def test_a_short_rest_is_kept_exactly(client: Client) -> None:
    client.send(ping(1) + ping(2)[:8])

    assert kept(client) == {"len": 8, "cap": 8, "need": len(ping(2))}
    client.send(ping(2)[8:])
    assert [answer.sync for answer in client.packets()] == [1, 2]


def test_a_long_packet_grows_with_what_arrives(client: Client) -> None:
    size = 16 * RECEIVE
    data = request({0: EVAL, 1: 1}, {0x27: "return #(...)", 0x21: ["x" * size]})
    client.send(data[:100])
    found = kept(client)
    assert found is not None
    assert (found["cap"], found["need"]) == (100, len(data))
    for at in range(100, size - 500_000, 500_000):
        client.send(data[at : at + 500_000])
        found = kept(client)
        assert found is not None
        assert found["len"] == at + 500_000
        assert found["cap"] <= 2 * found["len"] + 2 * RECEIVE
    client.send(data[at + 500_000 :])

    assert client.packets()[0].data == [size]
    assert kept(client) is None


def test_bytes_in_and_last_request_move_with_every_piece(client: Client) -> None:
    assert client.slot.last_request == 0
    client.send(b"\xce")
    assert client.slot.bytes_in == 1
    assert time.monotonic() - 5 < client.slot.last_request <= time.monotonic()
    client.send(struct.pack(">I", 5))
    assert client.slot.bytes_in == 5


def test_a_wake_up_without_bytes_keeps_the_rest(client: Client) -> None:
    client.send(ping(1)[:6])
    receive = "require('beespace.engine.input').receive(...)"
    client.engine.execute(receive, client.fd)

    assert kept(client) == {"len": 6, "cap": 6, "need": 0}
    assert client.exists
    client.send(ping(1)[6:])
    assert [answer.sync for answer in client.packets()] == [1]


WHERE = """
local b = require('beespace.engine.sessions').all[...].buffers
return tonumber(require('ffi').cast('uintptr_t', b.input))
"""


@pytest.mark.parametrize("size", [5_000, 300_000, RECEIVE - 100])
def test_a_packet_in_many_pieces_is_not_copied_for_each(client: Client, size: int) -> None:
    data = request({0: EVAL, 1: 1}, {0x27: "return #(...)", 0x21: ["x" * size]})
    rest = 400
    client.send(data[:-rest])
    places = set()
    for at in range(len(data) - rest, len(data) - 1):
        client.send(data[at : at + 1])
        places.add(client.engine.execute(WHERE, client.fd))
        found = kept(client)
        assert found is not None
        assert (found["len"], found["need"]) == (at + 1, len(data))
        assert found["cap"] <= len(data)

    assert len(places) == 1
    client.send(data[-1:] + ping(2))
    assert [answer.sync for answer in client.packets()] == [1, 2]
    assert kept(client) is None


@pytest.mark.parametrize("piece", [1, 7, 4095, 4097])
def test_pieces_of_any_length_make_the_packets(client: Client, piece: int) -> None:
    sizes = [10, 3000, 4090, 4096, 5000, 9000] if piece < 100 else [10, 4096, 100_000, 5 * 4096]
    data = b"".join(
        request({0: EVAL, 1: size}, {0x27: "return #(...)", 0x21: ["x" * size]}) for size in sizes
    )
    for at in range(0, len(data), piece):
        client.send(data[at : at + piece])

    assert [(each.sync, each.data) for each in client.packets()] == [(n, [n]) for n in sizes]
    assert kept(client) is None
