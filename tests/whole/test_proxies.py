"""Clients behind a proxy: ``peer`` is the client's own address, and its limit is its own."""

from __future__ import annotations

import pytest

from tests.helpers.raw import GREETING_SIZE, ClosedError, Raw, ping
from tests.helpers.server import Server
from tests.helpers.wait import wait_until
from tests.whole.conftest import Start

LINE = b"PROXY TCP4 192.0.2.1 198.51.100.7 51234 3301\r\n"
SECOND = (
    bytes.fromhex("0d0a0d0a000d0a515549540a2121002c 20010db8000000000000000000000009")
    + bytes(16)
    + bytes.fromhex("c8220ce5 0200050a6578616d")
)


def served(start: Start, most: int = 0, **iproto: object) -> Server:
    limits = {"session": {"limits": {"per_address": most}}}
    plain = {"uri": "127.0.0.1:0"}
    behind = {"uri": "127.0.0.1:0", "params": {"proxy_protocol": True}}
    return start(listen=(), settings={"iproto": {"listen": [plain, behind], **iproto}, **limits})


def closed(client: Raw) -> bool:
    try:
        client.take(1)
    except (ClosedError, ConnectionResetError):
        return True
    return False


def test_clients_of_a_proxy(start: Start) -> None:
    server = served(start)
    plain, behind = server.addresses
    with Raw(plain) as client:
        assert client.call("box.session.peer").data == [client.name]
    # In one send, byte by byte, and with the beginning of a request behind it.
    probe = ping(7)
    for feed in ("whole", "bytewise", "attached"):
        size = 1 if feed == "bytewise" else len(LINE) + 7
        data = LINE + (probe[:4] if feed == "attached" else b"")
        with Raw(behind, greet=False) as client:
            for at in range(0, len(data), size):
                client.send(data[at : at + size])
            assert client.take(GREETING_SIZE).startswith(b"Tarantool 2.11.0 (Binary)")
            client.send(probe[4:] if feed == "attached" else probe)
            assert client.packet().sync == 7
            assert client.call("box.session.peer").data == ["192.0.2.1:51234"]
    with Raw(behind, first=SECOND) as client:
        assert client.call("box.session.peer").data == ["[2001:db8::9]:51234"]


def test_the_limit_is_the_clients(start: Start) -> None:
    server = served(start, most=2)
    behind = server.addresses[1]
    other = LINE.replace(b"192.0.2.1", b"192.0.2.2")
    with Raw(behind, first=LINE) as one, Raw(behind, first=LINE) as two:
        one.ping()
        two.ping()
        with Raw(behind, first=LINE) as refused:
            assert refused.packet().text.startswith("session limit of the address reached: 2 of 2")
        with Raw(behind, first=other) as third:
            third.ping()


@pytest.mark.parametrize("first", [ping(1), b"PROXY TCP4 nothing\r\n", b"GET / HTTP/1.1\r\n\r\n"])
def test_what_is_no_header(start: Start, first: bytes) -> None:
    server = served(start)
    with Raw(server.addresses[1], greet=False, first=first) as client:
        assert closed(client)
    line = "closed what began with no PROXY header"
    wait_until(lambda: server.lines(line), what="a line of the log")


def test_strangers(start: Start) -> None:
    server = served(start, proxy_trusted=["192.0.2.0/24"])
    with Raw(server.addresses[1], greet=False) as client:
        assert closed(client)
    line = "closed what came from no trusted proxy"
    wait_until(lambda: server.lines(line), what="a line of the log")
    with Raw(server.addresses[0]) as client:
        client.ping()
