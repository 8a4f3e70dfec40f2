"""Clients behind proxies, through the acceptor: a header is read, and nothing else is taken."""

from __future__ import annotations

import os
import socket
import time
from collections.abc import Iterator
from functools import partial

import pytest

from server import preludes
from shm.segment import Segment
from shm.sessions import SessionTable
from tests.helpers.wait import wait_until
from tests.server.stage import Stage, close_all, settings

LINE = b"PROXY TCP4 192.0.2.1 198.51.100.7 51234 3301\r\n"
LOCAL = bytes.fromhex("0d0a0d0a000d0a515549540a20000000")
REQUEST = b"\xce\0\0\0\x05 and more"


@pytest.fixture
def proxied(segment: Segment) -> Iterator[Stage]:
    ends = [socket.create_server(("127.0.0.1", 0)) for _ in range(2)]
    made = Stage(segment, ends, proxied=frozenset({0}))
    made.worker_up(0)
    made.control.send({"op": "accept"})
    yield made
    made.close()


def peers(table: SessionTable) -> list[str]:
    return [one.peer for one in sorted(table.sessions(), key=lambda one: one.id)]


def ended(client: socket.socket) -> bool:
    try:
        return client.recv(1) == b""
    except ConnectionResetError:
        return True


@pytest.mark.parametrize("pause", [len(LINE), 1, 7])
def test_a_header_in_pieces_and_what_follows_it(
    proxied: Stage, table: SessionTable, pause: int
) -> None:
    client = proxied.connect()
    data = LINE + REQUEST
    for at in range(0, len(data), pause):
        client.send(data[at : at + pause])
        sent = at + pause
        if sent < len(LINE):
            wait_until(partial(_has_taken, proxied, sent), what=f"a look at {sent} bytes")
    _, (fd,) = proxied.taken(0)
    assert peers(table) == ["192.0.2.1:51234"]
    with socket.socket(fileno=fd) as end:
        end.settimeout(5)
        got = b""
        while len(got) < len(REQUEST):
            got += end.recv(100)
        assert got == REQUEST


def _has_taken(stage: Stage, size: int) -> bool:
    """Whether so much of the header of the only connection that waits has been read."""
    return [len(one.data) for one in stage.acceptor._preludes._waiting.values()] == [size]


def test_a_local_header_keeps_the_peer(proxied: Stage, table: SessionTable) -> None:
    client = proxied.connect()
    client.send(LOCAL)
    close_all(proxied.taken(0)[1])
    host, port = client.getsockname()
    assert peers(table) == [f"{host}:{port}"]


def test_nobody_waits_for_one_that_says_nothing(proxied: Stage, table: SessionTable) -> None:
    silent = proxied.connect()
    others = [proxied.connect(), proxied.connect(1)]
    others[0].send(LINE)
    fds: list[int] = []
    while len(fds) < 2:
        fds += proxied.taken(0)[1]
    assert "192.0.2.1:51234" in peers(table)
    assert len(peers(table)) == 2
    silent.send(LINE)
    fds += proxied.taken(0)[1]
    close_all(fds)


def test_malformed_and_ended(proxied: Stage, table: SessionTable) -> None:
    for data in (b"\xce\0\0\0\x05", b"PROXY TCP4 nonsense\r\n"):
        client = proxied.connect()
        client.send(data)
        assert ended(client)
    client = proxied.connect()
    client.send(LINE[:9])
    client.shutdown(socket.SHUT_WR)
    assert ended(client)
    assert proxied.segment.header.proxy_malformed == 3
    assert peers(table) == []


def test_late(segment: Segment, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(preludes, "PATIENCE", 0.2)
    stage = Stage(segment, [socket.create_server(("127.0.0.1", 0))], proxied=frozenset({0}))
    stage.worker_up(0)
    stage.control.send({"op": "accept"})
    began = time.monotonic()
    client = stage.connect()
    client.send(LINE[:9])
    assert ended(client)
    # Less than the patience that it has by itself.
    assert 0.1 < time.monotonic() - began < 4.5
    assert segment.header.proxy_late == 1
    stage.close()


def test_untrusted(proxied: Stage) -> None:
    settings(proxied, {"iproto.proxy_trusted": ["10.0.0.0/8"]})
    client = proxied.connect()
    assert ended(client)
    assert proxied.segment.header.proxy_untrusted == 1
    settings(proxied, {"iproto.proxy_trusted": ["10.0.0.0/8", "127.0.0.1/32"]})
    proxied.connect().send(LINE)
    close_all(proxied.taken(0)[1])


def test_only_so_many_wait(segment: Segment, monkeypatch: pytest.MonkeyPatch) -> None:
    stage = Stage(segment, [socket.create_server(("127.0.0.1", 0))], proxied=frozenset({0}))
    stage.acceptor._preludes._most = 2
    stage.worker_up(0)
    stage.control.send({"op": "accept"})
    silent = [stage.connect() for _ in range(2)]
    wait_until(lambda: stage.acceptor._preludes.room == 0, what="two that wait")
    last = stage.connect()
    last.send(LINE)
    turns = segment.header.acceptor_turns
    silent[0].close()
    close_all(stage.taken(0)[1])
    assert segment.header.acceptor_turns - turns < 20, "it turned in a circle"
    stage.close()


def test_the_original_client_is_counted(proxied: Stage, table: SessionTable) -> None:
    settings(proxied, {"session.limits.per_address": 1})
    fds: list[int] = []
    for host in (b"192.0.2.1", b"192.0.2.2"):
        proxied.connect().send(LINE.replace(b"192.0.2.1", host))
        fds += proxied.taken(0)[1]
    client = proxied.connect()
    client.send(LINE)
    assert client.recv(200).startswith(b"Tarantool")
    assert proxied.segment.header.refused_address == 1
    close_all(fds)


def test_nothing_is_left_open(segment: Segment) -> None:
    before = len(os.listdir("/proc/self/fd"))
    stage = Stage(segment, [socket.create_server(("127.0.0.1", 0))], proxied=frozenset({0}))
    stage.worker_up(0)
    stage.control.send({"op": "accept"})
    stage.connect()
    wait_until(lambda: stage.acceptor._preludes.room < preludes.MOST, what="one that waits")
    stage.close()
    # What stays is the mapping's and the signals', not the connection's.
    assert len(os.listdir("/proc/self/fd")) <= before + 1
